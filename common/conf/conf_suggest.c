#include "common/conf/conf_suggest.h"

#include <string.h>

#include "common/conf/conf_option.h"

enum { WORD_SIZE_MAX = 40 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance in which a swap of two neighbours counts once. Three rows of the
 * table of distances between all prefixes: of i - 2, i - 1 and i bytes of `a`. */
static size_t distance(struct bytes a, struct bytes b)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *two_up = rows[0], *up = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.size; j++)
        up[j] = two_up[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t change = up[j - 1] + (a.data[i - 1] != b.data[j - 1]);

            row[j] = smaller(change, smaller(up[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = smaller(row[j], two_up[j - 2] + 1);
        }
        size_t *oldest = two_up;
        two_up = up;
        up = row;
        row = oldest;
    }
    return up[b.size];
}

const char *conf_suggest_keyword(struct bytes word)
{
    const struct conf_option *option = NULL;
    const char *nearest = NULL;
    /* A third of the word may be wrong, and no more than three bytes. */
    size_t limit = smaller(word.size / 3, 3) + 1;

    if (word.size > WORD_SIZE_MAX)
        return NULL;
    for (size_t i = 0; (option = conf_option_at(i)) != NULL; i++) {
        if (conf_option_is_prefix(option) || strlen(option->keyword) > WORD_SIZE_MAX)
            continue;
        size_t d = distance(word, bytes_of(option->keyword));
        if (d < limit) {
            limit = d;
            nearest = option->keyword;
        }
    }
    return nearest;
}
