#include "source/choose.h"

#include <string.h>
#include <strings.h>

/* One character against [...]; *end gets what follows it; an unclosed bracket stands for itself. */
static bool in_set(const char *set, char character, const char **end) {
    bool negated = *set == '!' || *set == '^', found = false;
    const char *at = set + negated;
    do {
        if (!*at) {
            *end = set;
            return character == '[';
        }
        char low = *at++, high = low;
        if (*at == '-' && at[1] && at[1] != ']') {
            high = at[1];
            at += 2;
        }
        found |= (unsigned char)low <= (unsigned char)character && (unsigned char)character <= (unsigned char)high;
    } while (*at != ']');
    *end = at + 1;
    return found != negated && character != '/';
}

/* Matches by going back to the last star only, so the time is at most pattern times text, for ** and * each. */
static bool match(const char *pattern, const char *text, int depth) {
    const char *star = NULL, *from = NULL;
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            while (*pattern == '*') pattern++;
            if (depth > 8) return false; /* a pattern nobody writes; keeps the time bounded */
            if (*pattern == '/' && match(pattern + 1, text, depth + 1)) return true;
            if (!*pattern) return true;
            for (const char *rest = text; *rest; rest++)
                if (match(pattern, rest, depth + 1)) return true;
            return match(pattern, "", depth + 1);
        }
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
            continue;
        }
        const char *next = pattern + 1;
        bool same;
        if (!*text) {
            if (!*pattern) return true;
            return false;
        }
        if (*pattern == '[') same = in_set(pattern + 1, *text, &next);
        else if (*pattern == '?') same = *text != '/';
        else if (*pattern == '\\' && pattern[1]) {
            same = pattern[1] == *text;
            next = pattern + 2;
        } else same = *pattern && *pattern == *text;
        if (same) {
            pattern = next;
            text++;
        } else if (star && *from != '/') {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
}

bool cl_glob(const char *pattern, const char *text) { return match(pattern, text, 0); }

static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool matches(const char *const *patterns, int64_t count, const char *path) {
    for (int64_t i = 0; i < count; i++)
        if (cl_glob(patterns[i], strchr(patterns[i], '/') ? path : last_name(path))) return true;
    return false;
}

/* Whether the path, or a folder it goes through, is excluded. */
static bool excluded(const coulis_source_options *options, const char *path) {
    if (options->exclude_count == 0) return false;
    if (matches(options->exclude, options->exclude_count, path)) return true;
    char above[4096];
    size_t length = strlen(path);
    if (length >= sizeof above) return false;
    memcpy(above, path, length + 1);
    for (char *slash; (slash = strrchr(above, '/')) != NULL && slash != above;) {
        *slash = '\0';
        if (matches(options->exclude, options->exclude_count, above)) return true;
    }
    return false;
}

cl_verdict cl_choose_file(const coulis_source_options *options, const char *path) {
    if (options->include_count > 0 && !matches(options->include, options->include_count, path)) return CL_EXCLUDED;
    return excluded(options, path) ? CL_EXCLUDED : CL_TAKE;
}

cl_verdict cl_choose_folder(const coulis_source_options *options, const char *path) {
    return matches(options->exclude, options->exclude_count, path) ? CL_EXCLUDED : CL_TAKE;
}

cl_verdict cl_choose_name(const coulis_source_options *options, const char *name) {
    /* Version control; thumbnails and trash of Synology and QNAP, of Windows, macOS and Linux; what fsck found. */
    static const char *const system[] = {
        ".git", ".svn", ".hg", "@eaDir", "#recycle", "#snapshot", "@Recycle", ".@__thumb", "$RECYCLE.BIN",
        "System Volume Information", "Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", ".DS_Store", ".AppleDouble",
        ".Trashes", ".Spotlight-V100", ".fseventsd", "lost+found"};
    if (options->all_files) return CL_TAKE;
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        if (strcasecmp(name, system[i]) == 0) return CL_SYSTEM;
    if (strncmp(name, "._", 2) == 0 || strncmp(name, ".Trash-", 7) == 0) return CL_SYSTEM;
    return name[0] == '.' ? CL_HIDDEN : CL_TAKE;
}

cl_verdict cl_choose_names(const coulis_source_options *options, const char *path) {
    char name[1024];
    for (const char *at = path; *at;) {
        size_t length = strcspn(at, "/");
        bool climbs = length <= 2 && strncmp(at, "..", length) == 0; /* "." and "..", and nothing between two slashes */
        if (!climbs && length < sizeof name) {
            memcpy(name, at, length);
            name[length] = '\0';
            cl_verdict verdict = cl_choose_name(options, name);
            if (verdict != CL_TAKE) return verdict;
        }
        at += length + (at[length] == '/');
    }
    return CL_TAKE;
}

bool cl_is_image_name(const char *name) {
    static const char *const endings[] = {
        "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif",
        "jp2", "j2k",  "jpx", "jxl",  "ico", "ppm",  "pgm",  "pbm", "tga", "psd", "svg", "dng",  "cr2",  "cr3",  "nef",
        "arw", "orf",  "rw2", "raf",  "pef", "srw"};
    const char *dot = strrchr(last_name(name), '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0) return true;
    return false;
}
