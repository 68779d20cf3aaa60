#include "source/choose.h"

#include <strings.h>

/* The character at `text` (`left` bytes, at least one), and its length; a byte that is not UTF-8 is one of its own. */
static uint32_t character_at(const char *text, size_t left, size_t *length) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)text[0];
    const size_t more = first >= 0xF0 && first < 0xF8 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
    uint32_t code = first & (more ? 0x3Fu >> more : 0xFFu);
    bool good = (first < 0x80 || more > 0) && first < 0xF8 && more < left;
    for (size_t i = 1; good && i <= more; i++) {
        const unsigned char byte = (unsigned char)text[i];
        good = (byte & 0xC0) == 0x80;
        code = code << 6 | (byte & 0x3F);
    }
    good = good && code >= least[more];
    *length = good ? 1 + more : 1;
    return good ? code : 0x110000u + first; /* above every character */
}

static uint32_t take(const char **at) {
    size_t length;
    const uint32_t character = character_at(*at, strlen(*at), &length);
    *at += length;
    return character;
}

/* A character against [...]; *end gets what follows it; an unclosed bracket stands for itself. */
static bool in_set(const char *set, uint32_t character, const char **end) {
    bool negated = *set == '!' || *set == '^', found = false;
    const char *at = set + negated;
    do {
        if (!*at) {
            *end = set;
            return character == '[';
        }
        uint32_t low = take(&at), high = low;
        if (*at == '-' && at[1] && at[1] != ']') {
            at++;
            high = take(&at);
        }
        found |= low <= character && character <= high;
    } while (*at != ']');
    *end = at + 1;
    return found != negated && character != '/';
}

/* Places in a pattern from which the rest of the text may go on: one that was come to, or a star that goes on. */
enum { COME = 1, STAYED = 2 };

/* A star may stand for nothing, so what follows it is a place, too; and so is what follows a slash after two that stand
 * for nothing. */
static void spread(const char *pattern, size_t length, uint8_t *places) {
    for (size_t i = 0; i < length; i++) {
        if (!places[i] || pattern[i] != '*') continue;
        const size_t stars = strspn(pattern + i, "*");
        places[i + stars] |= COME;
        if (places[i] & COME && stars > 1 && pattern[i + stars] == '/') places[i + stars + 1] |= COME;
    }
}

/* Goes on from each place by one character; false when there is no place left. */
static bool step(const char *pattern, size_t length, const uint8_t *now, uint8_t *then, uint32_t character) {
    bool any = false;
    memset(then, 0, length + 1);
    for (size_t i = 0; i < length; i++) {
        const char *at = pattern + i, *next;
        bool same;
        if (!now[i]) continue;
        if (*at == '*') {
            next = at;
            same = at[1] == '*' || character != '/';
        } else if (*at == '[') {
            same = in_set(at + 1, character, &next);
        } else if (*at == '?') {
            next = at + 1;
            same = character != '/';
        } else {
            next = at + (*at == '\\' && at[1]);
            same = take(&next) == character;
        }
        if (!same) continue;
        then[next - pattern] |= next == at ? STAYED : COME;
        any = true;
    }
    return any;
}

/* All places are followed at once, so the time is at most pattern times text. */
static bool match(const char *pattern, const char *text, size_t text_length) {
    uint8_t places[2][CL_GLOB_MAX + 1];
    const size_t length = strlen(pattern);
    int now = 0;
    if (length > CL_GLOB_MAX) return false;
    memset(places[0], 0, length + 1);
    places[0][0] = COME;
    spread(pattern, length, places[0]);
    for (size_t at = 0, width; at < text_length; at += width, now = !now) {
        const uint32_t character = character_at(text + at, text_length - at, &width);
        if (!step(pattern, length, places[now], places[!now], character)) return false;
        spread(pattern, length, places[!now]);
    }
    return places[now][length] != 0;
}

bool cl_glob(const char *pattern, const char *text) { return match(pattern, text, strlen(text)); }

static coulis_status check(const char *const *patterns, int64_t count, coulis_error *error) {
    if (count < 0) return cl_fail(error, COULIS_INVALID_ARGUMENT, "the number of patterns is negative");
    for (int64_t i = 0; i < count; i++)
        if (!patterns || !patterns[i] || !*patterns[i] || strlen(patterns[i]) > CL_GLOB_MAX)
            return cl_fail(error, COULIS_INVALID_ARGUMENT, "a pattern is empty or longer than %d bytes", CL_GLOB_MAX);
    return COULIS_OK;
}

coulis_status cl_choose_check(const coulis_source_options *options, coulis_error *error) {
    coulis_status status = check(options->include, options->include_count, error);
    return status ? status : check(options->exclude, options->exclude_count, error);
}

static const char *last_name(const char *path, size_t length) {
    while (length > 0 && path[length - 1] != '/') length--;
    return path + length;
}

/* Whether one of the patterns matches the first `length` bytes of a path, or their last name. */
static bool matches(const char *const *patterns, int64_t count, const char *path, size_t length) {
    const char *last = last_name(path, length);
    for (int64_t i = 0; i < count; i++) {
        const char *text = strchr(patterns[i], '/') ? path : last;
        if (match(patterns[i], text, length - (size_t)(text - path))) return true;
    }
    return false;
}

/* Whether the path, or a folder it goes through, is excluded. */
static bool excluded(const coulis_source_options *options, const char *path) {
    if (options->exclude_count == 0) return false;
    for (size_t length = strlen(path); length > 0; length = (size_t)(last_name(path, length) - path)) {
        while (length > 0 && path[length - 1] == '/') length--; /* what is above the last name */
        if (length > 0 && matches(options->exclude, options->exclude_count, path, length)) return true;
    }
    return false;
}

cl_verdict cl_choose_file(const coulis_source_options *options, const char *path) {
    if (options->include_count > 0 && !matches(options->include, options->include_count, path, strlen(path)))
        return CL_EXCLUDED;
    return excluded(options, path) ? CL_EXCLUDED : CL_TAKE;
}

cl_verdict cl_choose_folder(const coulis_source_options *options, const char *path) {
    return matches(options->exclude, options->exclude_count, path, strlen(path)) ? CL_EXCLUDED : CL_TAKE;
}

cl_verdict cl_choose_name(const coulis_source_options *options, const char *name) {
    /* Version control; thumbnails and trash of Synology and QNAP, of Windows, macOS and Linux; what fsck found. */
    static const char *const system[] = {".git",         ".svn",
                                         ".hg",          "@eaDir",
                                         "#recycle",     "#snapshot",
                                         "@Recycle",     ".@__thumb",
                                         "$RECYCLE.BIN", "System Volume Information",
                                         "Thumbs.db",    "ehthumbs.db",
                                         "desktop.ini",  "__MACOSX",
                                         ".DS_Store",    ".AppleDouble",
                                         ".Trashes",     ".Spotlight-V100",
                                         ".fseventsd",   "lost+found"};
    if (options->all_files) return CL_TAKE;
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        if (strcasecmp(name, system[i]) == 0) return CL_SYSTEM;
    if (strncmp(name, "._", 2) == 0 || strncmp(name, ".Trash-", 7) == 0) return CL_SYSTEM;
    return name[0] == '.' ? CL_HIDDEN : CL_TAKE;
}

cl_verdict cl_choose_names(const coulis_source_options *options, const char *path) {
    char name[64]; /* longer than any that is looked for: the beginning of a longer one decides */
    for (const char *at = path; *at;) {
        size_t length = strcspn(at, "/");
        bool climbs = length <= 2 && strncmp(at, "..", length) == 0; /* "." and "..", and nothing between two slashes */
        if (!climbs) {
            const size_t kept = length < sizeof name ? length : sizeof name - 1;
            memcpy(name, at, kept);
            name[kept] = '\0';
            cl_verdict verdict = cl_choose_name(options, name);
            if (verdict != CL_TAKE) return verdict;
        }
        at += length + (at[length] == '/');
    }
    return CL_TAKE;
}
