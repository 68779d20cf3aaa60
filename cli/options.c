/* Reading a command line by the rows of table.c. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"
#include "table.h"

int cli_usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("coulis: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return EXIT_USAGE;
}

/* ---- looking things up ---- */

/* An option is looked up by its full name alone: abbreviations would change their meaning with every new option. */
const cli_option *cli_find_option(const cli_verb *verb, const char *name, size_t length) {
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit && strlen(row->name) == length && strncmp(row->name, name, length) == 0) return row;
    return NULL;
}

const cli_option *cli_find_letter(const cli_verb *verb, char letter) {
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit && row->letter == letter) return row;
    return NULL;
}

/* Whether `verb` is named by `first`, or by `first` and `second` when it has two words. */
static bool is_named(const cli_verb *verb, const char *first, const char *second) {
    const char *blank = strchr(verb->name, ' ');
    if (!blank) return strcmp(verb->name, first) == 0;
    size_t length = (size_t)(blank - verb->name);
    return strlen(first) == length && strncmp(verb->name, first, length) == 0 && second &&
           strcmp(blank + 1, second) == 0;
}

/* Whether some verb's name begins with `word` and a blank. */
static bool is_group(const char *word) {
    size_t length = strlen(word);
    for (const cli_verb *verb = cli_verbs; verb->name; verb++)
        if (strncmp(verb->name, word, length) == 0 && verb->name[length] == ' ') return true;
    return false;
}

const cli_verb *cli_find_verb(int argc, char **argv, int *next) {
    const char *first = argv[1], *second = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
    const bool group = is_group(first);
    if (group && !second) second = "list"; /* 'coulis models' */
    char both[256];
    if (group) snprintf(both, sizeof both, "%.100s %.100s", first, second);
    cli_suggestion near = {.word = group ? both : first};
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        cli_suggest(&near, verb->name, group ? strlen(verb->name) : strcspn(verb->name, " "));
        if (!is_named(verb, first, second)) continue;
        *next = group && argc > 2 && second == argv[2] ? 3 : 2;
        return verb;
    }
    cli_unknown_verb(&near);
    return NULL;
}

/* ---- values ---- */

static bool read_number(const cli_option *row, const char *text, double *out) {
    char *end;
    const bool whole = row->kind != CLI_REAL;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= row->low && value <= row->high) || (whole && value != floor(value)) ||
        strpbrk(text, whole ? ".eExXpP" : "xXpP")) {
        if (whole)
            cli_usage("--%s must be a whole number from %.0f to %.0f, not '%s'", row->name, row->low, row->high, text);
        else cli_usage("--%s must be a number from %.15g to %.15g, not '%s'", row->name, row->low, row->high, text);
        return false;
    }
    *out = value;
    return true;
}

/* The number of a word, as the library knows them. */
static bool read_word(const cli_option *row, const char *text, int32_t *out) {
    const char *word;
    *out = coulis_option_number(row->name, text);
    if (*out >= 0) return true;
    cli_suggestion near = {.word = text};
    fprintf(stderr, "coulis: --%s must be ", row->name);
    for (int32_t i = 0; (word = coulis_option_word(row->name, i)); i++) {
        fprintf(stderr, "%s%s", i == 0 ? "" : coulis_option_word(row->name, i + 1) ? ", " : " or ", word);
        cli_suggest(&near, word, strlen(word));
    }
    fprintf(stderr, ", not '%s'", text);
    if (near.best) fprintf(stderr, "; did you mean '%s'?", near.best);
    fputc('\n', stderr);
    return false;
}

/* A whole number from 1, or a share between 0 and 1. */
static bool read_components(const char *text, double *out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0) || value > 1e9 || (value >= 1 && value != floor(value))) {
        cli_usage("--components must be a whole number from 1, or a share of the variance between 0 and 1, not '%s'",
                  text);
        return false;
    }
    if (value == 1 && strcmp(text, "1") != 0) {
        cli_usage("--components %s could mean one component or all of the variance: write 1 or 0.999\xE2\x80\xA6",
                  text);
        return false;
    }
    *out = value;
    return true;
}

/* A folder for results: a name that looks like a file's is a misunderstanding, unless there is such a folder. */
static bool read_folder(const cli_option *row, const char *text, const char **out) {
    static const char *const endings[] = {".csv",  ".tsv", ".json", ".jsonl", ".parquet", ".npy",        ".npz",
                                          ".xlsx", ".txt", ".html", ".zip",   ".tar",     ".safetensors"};
    const char *dot = strrchr(text, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcmp(dot, endings[i]) != 0 || cli_is_folder(text)) continue;
        cli_usage("--%s %s: looks like a file, but the result is a folder of Parquet files; name it without %s",
                  row->name, text, dot);
        return false;
    }
    if (!*text) {
        cli_usage("--%s must not be empty", row->name);
        return false;
    }
    *out = text;
    return true;
}

bool cli_set_like(cli_options *options, const char *text) {
    if (strcmp(text, "pillow") != 0) {
        cli_usage("--like must be pillow, not '%s'", text);
        return false;
    }
    options->image.orient = COULIS_ORIENT_IGNORE;
    options->image.alpha = COULIS_ALPHA_DROP;
    return true;
}

static bool read_value(const cli_option *row, const char *text, cli_options *options) {
    void *at = (char *)options + row->at;
    double number;
    switch (row->kind) {
    case CLI_FLAG: *(int32_t *)at = 1; return true;
    case CLI_TEXT: *(const char **)at = text; return true;
    case CLI_RESULT: return read_folder(row, text, at);
    case CLI_WORD: return read_word(row, text, at);
    case CLI_COMPONENTS: return read_components(text, at);
    case CLI_CALL: return row->set(options, text);
    case CLI_PASSED: return true;
    case CLI_INT32:
    case CLI_INT64:
    case CLI_REAL: break;
    }
    if (!read_number(row, text, &number)) return false;
    if (row->kind == CLI_INT32) *(int32_t *)at = (int32_t)number;
    else if (row->kind == CLI_INT64) *(int64_t *)at = (int64_t)number;
    else *(double *)at = number;
    return true;
}

/* ---- the whole line ---- */

static bool unknown_option(const cli_verb *verb, const char *argument) {
    cli_suggestion near = {.word = argument + strspn(argument, "-")};
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit) cli_suggest(&near, row->name, strlen(row->name));
    if (near.best) cli_usage("'coulis %s' has no option %s; did you mean --%s?", verb->name, argument, near.best);
    else cli_usage("'coulis %s' has no option %s; see 'coulis help %s'", verb->name, argument, verb->name);
    return false;
}

/* The row of `argument`: "--name", "--name=value", "-n" or "-nvalue"; *value: what follows the name, or NULL. */
static const cli_option *row_of(const cli_verb *verb, const char *argument, const char **value) {
    if (argument[1] != '-') {
        *value = argument[2] ? argument + 2 : NULL;
        return cli_find_letter(verb, argument[1]);
    }
    const char *name = argument + 2, *equals = strchr(name, '=');
    *value = equals ? equals + 1 : NULL;
    return cli_find_option(verb, name, equals ? (size_t)(equals - name) : strlen(name));
}

static bool check_complete(const cli_verb *verb, const cli_options *options, const bool *given) {
    if (options->path_count < verb->paths_min) {
        cli_usage("'coulis %s' needs %s; usage: coulis %s %s", verb->name,
                  verb->values == CLI_FOLDERS ? "a folder"
                  : verb->paths_max < 0       ? "at least one PATH"
                                              : "an argument",
                  verb->name, verb->arguments);
        return false;
    }
    if (verb->paths_max >= 0 && options->path_count > verb->paths_max) {
        cli_usage("'coulis %s' does not take '%s'; usage: coulis %s%s%s", verb->name, options->paths[verb->paths_max],
                  verb->name, *verb->arguments ? " " : "", verb->arguments);
        return false;
    }
    for (const cli_option *row = cli_table; row->name; row++) {
        if (!(row->verbs & verb->bit) || !row->required || given[row - cli_table]) continue;
        if (row->letter) cli_usage("'coulis %s' needs -%c %s: %s", verb->name, row->letter, row->value, row->help);
        else cli_usage("'coulis %s' needs --%s %s: %s", verb->name, row->name, row->value, row->help);
        return false;
    }
    return true;
}

/* Reads all arguments; `given` tells by row of the table which options there were. */
static bool read_line(const cli_verb *verb, int argc, char **argv, int first, cli_options *options, bool *given,
                      bool *help) {
    bool only_paths = false;
    for (int i = first; i < argc; i++) {
        const char *argument = argv[i], *value;
        if (only_paths || argument[0] != '-' || argument[1] == '\0') {
            options->paths[options->path_count++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_paths = true;
            continue;
        }
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            *help = true;
            return true;
        }
        const cli_option *row = row_of(verb, argument, &value);
        if (!row) return unknown_option(verb, argument);
        if (!cli_takes_value(row) && value) {
            cli_usage("--%s takes no value", row->name);
            return false;
        }
        if (cli_takes_value(row) && !value && i + 1 == argc) {
            cli_usage("%s needs a value", argument);
            return false;
        }
        if (cli_takes_value(row) && !value) value = argv[++i];
        if (!read_value(row, value, options)) return false;
        given[row - cli_table] = true;
    }
    return check_complete(verb, options, given);
}

bool cli_parse(const cli_verb *verb, int argc, char **argv, int first, cli_options *options, bool *help) {
    size_t rows = 0;
    while (cli_table[rows].name) rows++;
    cli_defaults(options);
    bool *given = calloc(rows, sizeof *given);
    options->paths = calloc((size_t)argc, sizeof *options->paths);
    options->include = calloc((size_t)argc, sizeof *options->include);
    options->exclude = calloc((size_t)argc, sizeof *options->exclude);
    if (!given || !options->paths || !options->include || !options->exclude) {
        fputs("coulis: not enough memory for the command line\n", stderr);
        exit(EXIT_FAILED); /* it is not a mistake in it */
    }
    bool good = read_line(verb, argc, argv, first, options, given, help);
    free(given);
    return good;
}

void cli_options_free(cli_options *options) {
    free(options->paths);
    free(options->include);
    free(options->exclude);
}
