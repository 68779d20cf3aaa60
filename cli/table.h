/* The one description of verbs and options. Parsing, help, the man page and completions are made of it: a new option
 * is a row in table.c, and a field in cli_options (cli.h) that it fills. */
#pragma once

#include <stddef.h>

#include "cli.h"

/* A bit for each verb, to say in an option's row which verbs take it. */
enum {
    CLI_RUN = 1u << 0,
    CLI_FEATURIZE = 1u << 1,
    CLI_FIT = 1u << 2,
    CLI_TRANSFORM = 1u << 3,
    CLI_MODELS_LIST = 1u << 4,
    CLI_MODELS_SHOW = 1u << 5,
    CLI_MODELS_PATH = 1u << 6,
    CLI_MODELS_ADD = 1u << 7,
    CLI_MODELS_GET = 1u << 8,
    CLI_BENCH = 1u << 9,
    CLI_VERSION = 1u << 10,
    CLI_HELP = 1u << 11,
    CLI_COMPLETION = 1u << 12,
    CLI_SEARCH = 1u << 13,
    CLI_DEDUP = 1u << 14,
    CLI_CLUSTER = 1u << 15,
    CLI_EXPORT = 1u << 16,
    CLI_VIEW = 1u << 17,
    CLI_APPLY = 1u << 19,
    CLI_VERIFY = 1u << 20,
    CLI_LIST = 1u << 21,
    CLI_MERGE = 1u << 22,
    CLI_CHECK = 1u << 23,
};
#define CLI_IMAGES (CLI_RUN | CLI_FEATURIZE)                                    /* verbs that read images */
#define CLI_PATHS (CLI_IMAGES | CLI_APPLY | CLI_LIST)                           /* verbs that take PATHs */
#define CLI_JOBS (CLI_IMAGES | CLI_APPLY | CLI_MERGE | CLI_FIT | CLI_TRANSFORM) /* verbs that write a result */

#define CLI_COLLECTIONS (CLI_SEARCH | CLI_DEDUP | CLI_CLUSTER | CLI_EXPORT | CLI_VIEW) /* verbs on a result */

/* What a shell can complete a value with. */
typedef enum cli_values { CLI_ANYTHING, CLI_FILES, CLI_FOLDERS, CLI_MODELS, CLI_VERBS, CLI_SHELLS } cli_values;

/* How an option is read, and the type of the field at `at`. */
typedef enum cli_kind {
    CLI_FLAG,       /* int32_t: 1 when given */
    CLI_TEXT,       /* const char * */
    CLI_RESULT,     /* const char *: the folder a result goes to */
    CLI_WORD,       /* int32_t: one of the library's words for the option of this name */
    CLI_INT32,      /* int32_t from low to high */
    CLI_INT64,      /* int64_t from low to high */
    CLI_REAL,       /* double from low to high */
    CLI_COMPONENTS, /* double: a count or a share */
    CLI_CALL,       /* `set` reads it; 0 when the text makes no sense, after it has printed a sentence */
    CLI_PASSED      /* read by the Python package; `value` is NULL for a flag */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without "--" */
    char letter;      /* of the short form, or 0 */
    cli_kind kind;
    size_t at;      /* offset in cli_options */
    unsigned verbs; /* that take it */
    bool required;
    const char *value; /* what stands for the value in help; NULL: the words, or no value */
    cli_values values;
    const char *help;    /* without a full stop */
    const char *initial; /* the default in words; NULL: what the library and cli_defaults say, if anything */
    double low, high;
    bool (*set)(cli_options *options, const char *text);
} cli_option;

typedef struct cli_verb {
    const char *name; /* "run", "models list" */
    unsigned bit;
    const char *arguments;    /* for the usage line, without the options that are not required */
    const char *summary;      /* of one line */
    const char *details;      /* paragraphs for its own help, or NULL */
    const char *example;      /* lines, each a command */
    int paths_min, paths_max; /* how many arguments that are not options; -1: any number */
    cli_values values;        /* what these are */
    int (*run)(const cli_options *options);
    const char *module; /* instead of `run`: the Python module that does it */
} cli_verb;

extern const cli_verb cli_verbs[]; /* the last has no name */
extern const cli_option cli_table[];

/* What a path may be, for help and the man page. */
extern const char cli_about[], cli_paths[], cli_exit_codes[], cli_environment[];

/* --like: the options that make what another program makes. */
bool cli_set_like(cli_options *options, const char *text);

/* Everything as it is when no option is given. */
void cli_defaults(cli_options *options);

/* The verb that argv[1], or argv[1] and argv[2], name, and in *next the argument after it; NULL after a sentence. */
const cli_verb *cli_find_verb(int argc, char **argv, int *next);
/* The row of an option of this verb by its name or letter, NULL for none. */
const cli_option *cli_find_option(const cli_verb *verb, const char *name, size_t length);
const cli_option *cli_find_letter(const cli_verb *verb, char letter);

/* Whether an option takes a value. */
bool cli_takes_value(const cli_option *option);
/* What stands for its value: "N", "pooled|map|logits". Into `text`, which is returned. */
const char *cli_value_text(const cli_option *option, char *text, size_t capacity);
/* Its default: "pooled", "10000", "all cores"; "" for none. Into `text`, which is returned. */
const char *cli_default_text(const cli_option *option, char *text, size_t capacity);

/* Reads the arguments of `verb` from argv[first] on; after a sentence false. Release with cli_options_free. *help: they
 * ask for help instead. */
bool cli_parse(const cli_verb *verb, int argc, char **argv, int first, cli_options *options, bool *help);
void cli_options_free(cli_options *options);

/* The word nearest to `word` among those that were offered; NULL when none is near. */
typedef struct cli_suggestion {
    const char *word, *best;
    int length; /* of best, which need not end there */
    size_t distance;
} cli_suggestion;
void cli_suggest(cli_suggestion *suggestion, const char *candidate, size_t length);
int cli_unknown_verb(const cli_suggestion *suggestion); /* prints the sentence, and returns EXIT_USAGE */

void cli_print_overview(const char *group); /* verbs whose name begins with "group "; NULL: all */
void cli_print_verb_help(const cli_verb *verb);
void cli_print_table(void); /* as JSON */
void cli_print_man(void);
