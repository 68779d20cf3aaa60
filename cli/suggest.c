/* Which word a mistyped one was meant to be. */
#include <string.h>

#include "table.h"

#define WORD_MAX 63

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Letters to insert, delete, replace or swap with their neighbour to make one word of the other (optimal string
 * alignment: Damerau, A technique for computer detection and correction of spelling errors, 1964). */
static size_t distance(const char *a, const char *b, size_t m) {
    size_t rows[3][WORD_MAX + 1], *older = rows[0], *old = rows[1], *row = rows[2];
    const size_t n = strlen(a);
    if (n > WORD_MAX || m > WORD_MAX) return WORD_MAX;
    for (size_t j = 0; j <= m; j++) old[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(least(old[j] + 1, row[j - 1] + 1), old[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], older[j - 2] + 1);
        }
        size_t *spare = older;
        older = old;
        old = row;
        row = spare;
    }
    return old[m];
}

void cli_suggest(cli_suggestion *suggestion, const char *candidate, size_t candidate_length) {
    const size_t length = strlen(suggestion->word);
    /* Half a word is nearer than a slip: "feat" is "featurize". */
    size_t found = length >= 3 && length < candidate_length && strncmp(candidate, suggestion->word, length) == 0
                       ? 1
                       : distance(suggestion->word, candidate, candidate_length);
    if (found > (length + 2) / 3 || found >= length) return; /* more than a third is another word */
    if (suggestion->best && found >= suggestion->distance) return;
    suggestion->best = candidate;
    suggestion->length = (int)candidate_length;
    suggestion->distance = found;
}

int cli_unknown_verb(const cli_suggestion *near) {
    if (!near->best) return cli_usage("unknown command '%s'; see 'coulis help'", near->word);
    return cli_usage("unknown command '%s'; did you mean '%.*s'?", near->word, near->length, near->best);
}
