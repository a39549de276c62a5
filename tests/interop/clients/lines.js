'use strict';
// The driver's side of drivers.py: commands come as lines, answers and events go as lines.

const readline = require('node:readline');

class NotOffered extends Error {}

// The fields of a command. What the driver does not know, its client does not offer.
class Fields {
  constructor(words, known) {
    this.values = new Map();
    for (const word of words) {
      const cut = word.indexOf('=');
      const key = word.slice(0, cut);
      if (!known.includes(key)) throw new NotOffered(key);
      this.values.set(key, [...this.all(key), word.slice(cut + 1)]);
    }
  }

  all(key) {
    return this.values.get(key) ?? [];
  }

  text(key) {
    return this.all(key)[0];
  }

  number(key, fallback) {
    const text = this.text(key);
    return text === undefined ? fallback : Number(text);
  }

  bytes(key) {
    const text = this.text(key);
    return text === undefined ? undefined : Buffer.from(text, 'hex');
  }
}

// `fields` are pairs of key and value; a value that is undefined says nothing.
function say(verb, fields = []) {
  const words = [verb];
  for (const [key, value] of fields) {
    if (value === undefined || value === null) continue;
    const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
    words.push(`${key}=${typeof text === 'boolean' ? Number(text) : text}`);
  }
  process.stdout.write(words.join(' ') + '\n');
}

// An object without the members that are undefined; undefined itself if none is left.
function given(members) {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined);
  return kept.length ? Object.fromEntries(kept) : undefined;
}

// `count` messages, their numbers behind the payload, not more than `window` at a time: libraries
// leave it to the application to stay below the broker's Receive Maximum.
async function publishNumbered(count, payload, window, publishOne) {
  let next = 0;
  const publishInTurn = async () => {
    while (next < count) await publishOne(Buffer.from(`${payload}${next++}`));
  };
  await Promise.all(Array.from({ length: Math.min(count, window) }, publishInTurn));
}

// Runs commands one after the other. `verbs` has for each the keys that it knows, and a
// function of the fields that returns the fields of the answer.
async function serve(verbs) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [verb, ...words] = line.split(' ');
    const [known, run] = verbs[verb];
    try {
      say('ok', await run(new Fields(words, known.split(' '))));
    } catch (error) {
      if (error instanceof NotOffered) say('n/a', [['what', error.message]]);
      else say('failed', [['why', String(error.message ?? error).replaceAll(/\s+/g, '_')]]);
    }
  }
  process.exit(0);
}

module.exports = { NotOffered, given, publishNumbered, say, serve };
