/* Reading a command line. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Each option with the letter by which a verb allows it; a capital letter takes a value. */
static const struct {
    const char *name, *brief;
    char letter;
} known[] = {
    {"--model", NULL, 'M'},
    {"--features", NULL, 'F'},
    {"--components", "-k", 'K'},
    {"--resize", NULL, 'R'},
    {"--orient", NULL, 'O'},
    {"--alpha", NULL, 'A'},
    {"--decode", NULL, 'E'},
    {"--precision", NULL, 'N'},
    {"--threads", NULL, 'T'},
    {"--rows-per-file", NULL, 'P'},
    {"--output", "-o", 'D'},
    {"--pca", NULL, 'C'},
    {"--seconds", NULL, 'S'},
    {"--drop-features", NULL, 'd'},
    {"--overwrite", NULL, 'w'},
    {"--strict", NULL, 's'},
    {"--json", NULL, 'j'},
    {"--quiet", NULL, 'q'},
    {"--no-progress", NULL, 'p'},
    {"--random-weights", NULL, 'r'},
    {"--speed", NULL, 'v'},
    {"--help", "-h", 'h'},
};

int cli_usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("coulis: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("; see 'coulis help'\n", stderr);
    va_end(arguments);
    return EXIT_USAGE;
}

static bool read_integer(const char *name, const char *text, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high) {
        cli_usage("%s must be a whole number from %lld to %lld, not '%s'", name, low, high, text);
        return false;
    }
    *out = value;
    return true;
}

/* The number of a word, as the library knows them: `name` is the option with its "--". */
static bool read_word(const char *name, const char *text, int32_t *out) {
    const char *option = name + 2, *word;
    int32_t number = coulis_option_number(option, text);
    if (number >= 0) {
        *out = number;
        return true;
    }
    fprintf(stderr, "coulis: %s must be ", name);
    for (int32_t i = 0; (word = coulis_option_word(option, i)); i++)
        fprintf(stderr, "%s%s", i == 0 ? "" : coulis_option_word(option, i + 1) ? ", " : " or ", word);
    fprintf(stderr, ", not '%s'; see 'coulis help'\n", text);
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
    *out = value;
    return true;
}

static bool read_value(cli_options *options, char letter, const char *name, const char *text) {
    coulis_job_options *job = &options->job;
    long long number;
    switch (letter) {
    case 'M': job->model = text; return true;
    case 'F': return read_word(name, text, &options->featurizer.features);
    case 'K': return read_components(text, &job->components);
    case 'R': return read_word(name, text, &options->image.resize);
    case 'O': return read_word(name, text, &options->image.orient);
    case 'A': return read_word(name, text, &options->image.alpha);
    case 'E': return read_word(name, text, &options->image.decode);
    case 'N': return read_word(name, text, &options->featurizer.precision);
    case 'T':
        if (!read_integer(name, text, 1, 1024, &number)) return false;
        job->threads = (int32_t)number;
        return true;
    case 'P':
        if (!read_integer(name, text, 1, 100000000, &number)) return false;
        job->rows_per_file = number;
        return true;
    case 'S':
        if (!read_integer(name, text, 1, 3600, &number)) return false;
        options->seconds = (double)number;
        return true;
    case 'D': options->output = text; return true;
    case 'C': options->pca = text; return true;
    default: return false;
    }
}

static void set_flag(cli_options *options, char letter) {
    switch (letter) {
    case 'd': options->job.drop_features = 1; break;
    case 'w': options->job.overwrite = 1; break;
    case 's': options->strict = true; break;
    case 'j': options->json = true; break;
    case 'q': options->quiet = true; break;
    case 'p': options->no_progress = true; break;
    case 'r': options->random_weights = true; break;
    case 'v': options->speed = true; break;
    case 'h': options->help = true; break;
    default: break;
    }
}

/* The letter of the option `argument` ("--name", "--name=value" or "-n"), 0 for none; *value points after '='. */
static char find_option(char *argument, const char **name, char **value) {
    char *equals = strncmp(argument, "--", 2) == 0 ? strchr(argument, '=') : NULL;
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *name = known[i].name;
        if ((strlen(known[i].name) == length && strncmp(known[i].name, argument, length) == 0) ||
            (known[i].brief && strcmp(known[i].brief, argument) == 0)) {
            *value = equals ? equals + 1 : NULL;
            return known[i].letter;
        }
    }
    return 0;
}

bool cli_parse(int argc, char **argv, const char *allowed, cli_options *options) {
    *options = (cli_options){.seconds = 5};
    coulis_job_options_init(&options->job, sizeof options->job);
    coulis_featurizer_options_init(&options->featurizer, sizeof options->featurizer);
    coulis_image_options_init(&options->image, sizeof options->image);
    options->job.featurizer = &options->featurizer;
    options->featurizer.image = &options->image;
    options->paths = calloc((size_t)argc, sizeof *options->paths);
    if (!options->paths) return false;
    bool only_paths = false;
    for (int i = 2; i < argc; i++) {
        char *argument = argv[i], *value;
        const char *name;
        if (only_paths || argument[0] != '-' || argument[1] == '\0') {
            options->paths[options->path_count++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_paths = true;
            continue;
        }
        char letter = find_option(argument, &name, &value);
        if (letter == 0 || (letter != 'h' && !strchr(allowed, letter))) {
            cli_usage("'coulis %s' has no option %s", argv[1], argument);
            return false;
        }
        bool takes_value = letter >= 'A' && letter <= 'Z';
        if (!takes_value) {
            if (value) {
                cli_usage("%s takes no value", name);
                return false;
            }
            set_flag(options, letter);
            continue;
        }
        if (!value && i + 1 == argc) {
            cli_usage("%s needs a value", name);
            return false;
        }
        if (!read_value(options, letter, name, value ? value : argv[++i])) return false;
    }
    return true;
}

void cli_options_free(cli_options *options) { free(options->paths); }
