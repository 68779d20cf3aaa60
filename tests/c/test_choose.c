/* Patterns against a plain reference, hostile ones in bounded time, and names of archives. */
#include "source/choose.h"
#include "test.h"

/* The same by trying everything, for short texts of ASCII letters: what docs/sources.md says, sentence by sentence. */
static int reference(const char *pattern, const char *text) {
    if (!*pattern) return !*text;
    if (pattern[0] == '*' && pattern[1] == '*') {
        const char *rest = pattern + strspn(pattern, "*");
        if (*rest == '/' && reference(rest + 1, text)) return 1;
        for (const char *at = text;; at++) {
            if (reference(rest, at)) return 1;
            if (!*at) return 0;
        }
    }
    if (*pattern == '*') {
        for (const char *at = text;; at++) {
            if (reference(pattern + 1, at)) return 1;
            if (!*at || *at == '/') return 0;
        }
    }
    if (!*text) return 0;
    if (*pattern == '?') return *text != '/' && reference(pattern + 1, text + 1);
    if (*pattern == '\\' && pattern[1]) return pattern[1] == *text && reference(pattern + 2, text + 1);
    if (*pattern == '[') {
        const char *at = pattern + 1;
        int negated = *at == '!' || *at == '^', found = 0, first = 1;
        at += negated;
        for (; *at && (first || *at != ']'); first = 0) {
            char low = *at++, high = low;
            if (*at == '-' && at[1] && at[1] != ']') {
                high = at[1];
                at += 2;
            }
            found |= low <= *text && *text <= high;
        }
        if (*at) return found != negated && *text != '/' && reference(at + 1, text + 1);
    }
    return *pattern == *text && reference(pattern + 1, text + 1);
}

static void patterns_match_as_documented(void) {
    static const char in_pattern[] = "ab/**?[]!-\\*a/", in_text[] = "ab/ba-]";
    const int count = test_is_quick() ? 100000 : 1000000;
    uint32_t state = 5;
    int matched = 0;
    for (int i = 0; i < count; i++) {
        char pattern[9] = "", text[8] = "";
        uint32_t draw[2];
        for (int k = 0; k < 2; k++) draw[k] = (state = state * 1664525u + 1013904223u) >> 8;
        const size_t lengths[2] = {draw[0] % sizeof pattern, draw[1] % sizeof text};
        for (size_t k = 0; k < lengths[0]; k++)
            pattern[k] = in_pattern[((state = state * 1664525u + 1013904223u) >> 8) % (sizeof in_pattern - 1)];
        for (size_t k = 0; k < lengths[1]; k++)
            text[k] = in_text[((state = state * 1664525u + 1013904223u) >> 8) % (sizeof in_text - 1)];
        int wanted = reference(pattern, text);
        matched += wanted;
        CHECK_MSG(cl_glob(pattern, text) == wanted, "'%s' and '%s'", pattern, text);
        if (test_checks_failed > 5) return;
    }
    CHECK(matched > count / 100);
}

static void characters_are_utf8(void) {
    CHECK(cl_glob("K?rbis", "K\xC3\xBCrbis") && !cl_glob("K?rbis", "Krbis"));
    CHECK(cl_glob("K[\xC3\xA4-\xC3\xBC]rbis", "K\xC3\xBCrbis"));
    CHECK(!cl_glob("K[\xC3\xA4-\xC3\xB6]rbis", "K\xC3\xBCrbis"));
    CHECK(cl_glob("[!a]", "\xE6\xA2\xA8") && cl_glob("?", "\xF0\x9F\x8D\x8E") && !cl_glob("??", "\xF0\x9F\x8D\x8E"));
    CHECK(cl_glob("K?rbis", "K\xFCrbis") && cl_glob("K\xFCrbis", "K\xFCrbis")); /* Latin-1: a byte of its own */
    CHECK(cl_glob("*\xC3", "a\xC3") && cl_glob("?", "\xC3") && !cl_glob("?", "\xC3\xC3"));
}

/* Names come from strangers' archives: none may take long. */
static void time_is_bounded(void) {
    static char text[4096], pattern[CL_GLOB_MAX + 1];
    memset(text, 'a', sizeof text - 1);
    for (size_t i = 0; i + 3 < sizeof pattern; i += 3) memcpy(pattern + i, "**a", 3);
    pattern[(sizeof pattern - 1) / 3 * 3 - 1] = 'b';
    CHECK(!cl_glob(pattern, text));
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = i % 2 ? '/' : 'x';
    CHECK(!cl_glob("**/x/**/x/**/x/**/x/**/y", text));
    static char slashes[CL_GLOB_MAX + 3];
    memset(slashes, 'a', sizeof slashes - 1);
    CHECK(!cl_glob(slashes, slashes)); /* too long: options refuse it before */
    const char *const patterns[] = {slashes};
    const coulis_source_options options = {.size = sizeof options, .exclude = patterns, .exclude_count = 1};
    coulis_error error;
    CHECK(cl_choose_check(&options, &error) == COULIS_INVALID_ARGUMENT && strstr(error.message, "1023"));
}

static void long_names_are_not_let_through(void) {
    static char path[9000];
    const char *const patterns[] = {"secret"};
    coulis_source_options options = {.size = sizeof options, .exclude = patterns, .exclude_count = 1};
    memset(path, 'a', sizeof path - 1);
    memcpy(path + 4000, "/secret/", 8);
    CHECK(cl_choose_file(&options, path) == CL_EXCLUDED);
    memcpy(path + 4000, "/.ecret/", 8);
    CHECK(cl_choose_names(&options, path) == CL_HIDDEN);
    path[0] = '.';
    memcpy(path + 4000, "/aecret/", 8);
    CHECK(cl_choose_names(&options, path) == CL_HIDDEN);
    options.all_files = 1;
    CHECK(cl_choose_names(&options, path) == CL_TAKE);
    options.all_files = 0;
    static const struct {
        const char *path;
        cl_verdict verdict;
    } cases[] = {{"a/__MACOSX/._b.jpg", CL_SYSTEM},
                 {"A/thumbs.DB", CL_SYSTEM},
                 {"./a/b.jpg", CL_TAKE},
                 {"../a/b.jpg", CL_TAKE},
                 {"a//b.jpg", CL_TAKE},
                 {"a/.b/c.jpg", CL_HIDDEN},
                 {"a/...", CL_HIDDEN},
                 {"lost+found/a", CL_SYSTEM},
                 {"a/.Trash-1000/b", CL_SYSTEM}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_MSG(cl_choose_names(&options, cases[i].path) == cases[i].verdict, "%s", cases[i].path);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(patterns_match_as_documented);
    RUN(characters_are_utf8);
    RUN(time_is_bounded);
    RUN(long_names_are_not_let_through);
    return test_finish();
}
