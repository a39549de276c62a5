"""Eclipse Paho's client for Python: driver_paho.py VERSION"""

import sys
import threading

import lines
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

VERSION = int(sys.argv[1])
PROPERTIES = {"content-type": "ContentType", "response": "ResponseTopic",
              "correlation": "CorrelationData", "format": "PayloadFormatIndicator",
              "expiry": "MessageExpiryInterval", "alias": "TopicAlias",
              "session-expiry": "SessionExpiryInterval",
              "subscription": "SubscriptionIdentifier"}
READERS = {"content-type": lines.Fields.text, "response": lines.Fields.text,
           "correlation": lines.Fields.data}


def properties_of(fields, packet_type, keys, user="user"):
    """None if the command names none of them."""
    found = Properties(packet_type)
    for key in keys.split():
        if key in fields:
            read = READERS.get(key, lines.Fields.number)
            setattr(found, PROPERTIES[key], read(fields, key))
    for pair in fields.all(user):
        found.UserProperty = tuple(pair.split(":"))
    return None if found.isEmpty() else found


def fields_of(properties):
    """The properties of a message that came."""
    found = [(key, getattr(properties, name)) for key, name in PROPERTIES.items()
             if key != "subscription" and hasattr(properties, name)]
    found += [("subscription", each)
              for each in getattr(properties, "SubscriptionIdentifier", [])]
    return found + [("user", ":".join(pair)) for pair in getattr(properties, "UserProperty", [])]


class Driver:
    """Paho's thread puts what comes into `acks`, by packet id; commands wait for it there."""

    def __init__(self):
        self.acks, self.changed = {}, threading.Condition()
        self.client, self.reconnects = None, False

    def note(self, key, value):
        with self.changed:
            self.acks[key] = value
            self.changed.notify_all()

    def await_ack(self, key):
        with self.changed:
            assert self.changed.wait_for(lambda: key in self.acks, lines.TIMEOUT_S), "no answer"
            return self.acks.pop(key)

    def connect(self, fields):
        is_clean = fields.number("clean", 1) == 1
        how = {} if VERSION == 5 else {"clean_session": is_clean}
        self.client = client = paho.Client(fields.text("id"), protocol=VERSION, **how)
        self.reconnects = fields.number("reconnect", 0) == 1
        self.set_callbacks()
        client.reconnect_delay_set(1, 1)
        if "will-topic" in fields:
            client.will_set(fields.text("will-topic"), fields.data("will-payload"),
                            fields.number("will-qos", 0), fields.number("will-retain", 0) == 1,
                            properties_of(fields, PacketTypes.WILLMESSAGE, "", "will-user"))
        how = {}
        if VERSION == 5:
            wanted = properties_of(fields, PacketTypes.CONNECT, "session-expiry")
            how = {"clean_start": is_clean, "properties": wanted}
        client.connect("127.0.0.1", fields.number("port"), fields.number("keepalive", 60), **how)
        client.loop_start()
        flags, reason, properties = self.await_ack("connect")
        if reason != 0:
            raise lines.Failed(f"reason={reason}")
        return [("present", flags["session present"]),
                ("assigned", getattr(properties, "AssignedClientIdentifier", None))]

    def set_callbacks(self):
        """With properties at the end in 5.0 only."""
        client = self.client
        client.on_connect = lambda c, u, flags, reason, properties=None: self.note(
            "connect", (flags, getattr(reason, "value", reason), properties))
        client.on_subscribe = lambda c, u, mid, codes, properties=None: self.note(mid, codes)
        client.on_unsubscribe = lambda c, u, mid, properties=None, codes=None: self.note(mid, codes)
        client.on_publish = lambda c, u, mid: self.note(mid, None)
        client.on_disconnect = self.on_disconnect
        client.on_message = self.on_message

    def on_disconnect(self, client, userdata, reason, properties=None):
        if not self.reconnects:
            client.disconnect()  # so that the thread does not try again
            lines.say("closed", [("reason", getattr(reason, "value", None))])

    @staticmethod
    def on_message(client, userdata, m):
        lines.say("message", [("topic", m.topic), ("payload", m.payload), ("qos", m.qos),
                              ("retain", m.retain), ("dup", m.dup),
                              *fields_of(getattr(m, "properties", None))])

    def subscribe(self, fields):
        how = {"qos": fields.number("qos", 0)}
        if VERSION == 5:
            options = SubscribeOptions(
                how["qos"], fields.number("no-local", 0) == 1,
                fields.number("as-published", 0) == 1, fields.number("handling", 0))
            how = {"options": options,
                   "properties": properties_of(fields, PacketTypes.SUBSCRIBE, "subscription")}
        (code,) = self.await_ack(self.client.subscribe(fields.text("filter"), **how)[1])
        return [("code", getattr(code, "value", code))]

    def unsubscribe(self, fields):
        code = self.await_ack(self.client.unsubscribe(fields.text("filter"))[1])
        return [("code", getattr(code, "value", None))]

    def publish(self, fields):
        properties = None
        if VERSION == 5:
            properties = properties_of(fields, PacketTypes.PUBLISH,
                                       "content-type response correlation format expiry alias")
        payload, count = fields.data("payload"), fields.number("count", None)
        payloads = [payload] if count is None else [payload + b"%d" % i for i in range(count)]
        sent = [self.client.publish(fields.text("topic"), each, fields.number("qos", 0),
                                    fields.number("retain", 0) == 1, properties)
                for each in payloads]
        for info in sent:
            self.await_ack(info.mid)
        return []

    def disconnect(self, fields):
        self.client.on_disconnect = None
        self.client.disconnect()
        self.client.loop_stop()
        return []


def main():
    driver = Driver()
    lines.serve({
        "connect": (driver.connect, "port id clean keepalive reconnect session-expiry "
                                    "will-topic will-payload will-qos will-retain will-user"),
        "subscribe": (driver.subscribe, "filter qos no-local as-published handling subscription"),
        "unsubscribe": (driver.unsubscribe, "filter"),
        "publish": (driver.publish, "topic payload qos retain count user content-type response "
                                    "correlation format expiry alias"),
        "disconnect": (driver.disconnect, ""),
    })


if __name__ == "__main__":
    main()
