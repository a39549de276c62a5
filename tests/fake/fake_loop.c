#include "tests/fake/fake_loop.h"

void fake_loop_open(struct loop *loop, uint64_t now_ms)
{
    *loop = (struct loop){.now_ms = now_ms, .wheel = wheel_new(now_ms, loop)};
}

void fake_loop_close(struct loop *loop)
{
    wheel_free(loop->wheel);
    loop->wheel = NULL;
}

void fake_loop_advance(struct loop *loop, uint64_t ms)
{
    loop->now_ms += ms;
    (void)wheel_advance(loop->wheel, loop->now_ms, UINT32_MAX);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

struct wheel *loop_wheel(struct loop *loop)
{
    return loop->wheel;
}
