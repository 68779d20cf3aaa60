#include <stdio.h>
#include <string.h>

#include "system.h"
#include "table.h"

int cli_fail(coulis_status status, const coulis_error *error) {
    fprintf(stderr, "coulis: %s\n", error->message);
    return status == COULIS_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* What was printed must have arrived: a full disk under stdout is a failure too. */
static int flush(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fputs("coulis: the output could not be written\n", stderr);
    return EXIT_FAILED;
}

int cli_version(const cli_options *options) {
    (void)options;
    printf("coulis %s (%s)\n", coulis_version(), coulis_instruction_set());
    return EXIT_DONE;
}

int cli_help(const cli_options *options) {
    if (options->man) cli_print_man();
    else if (options->json) cli_print_table();
    else if (options->path_count == 0) cli_print_overview(NULL);
    else {
        const char *first = options->paths[0], *second = options->path_count > 1 ? options->paths[1] : NULL;
        char named[256];
        snprintf(named, sizeof named, "%.100s%s%.100s", first, second ? " " : "", second ? second : "");
        cli_suggestion near = {.word = named};
        bool group = false;
        const size_t length = strlen(first);
        for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
            if (strcmp(verb->name, named) == 0) {
                cli_print_verb_help(verb);
                return EXIT_DONE;
            }
            group = group || (!second && strncmp(verb->name, first, length) == 0 && verb->name[length] == ' ');
            cli_suggest(&near, verb->name, second ? strlen(verb->name) : strcspn(verb->name, " "));
        }
        if (group) cli_print_overview(first);
        else return cli_unknown_verb(&near);
    }
    return EXIT_DONE;
}

/* Whether the arguments of a verb that is not parsed here ask for help. */
static bool asks_for_help(int argc, char **argv, int first) {
    for (int i = first; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static int run(const cli_verb *verb, int argc, char **argv, int first) {
    bool help = verb->module && asks_for_help(argc, argv, first);
    if (verb->module && !help) return cli_python(verb->module, argc, argv, 2);
    cli_options options;
    int code = EXIT_USAGE;
    bool good = help;
    if (!help) {
        good = cli_parse(verb, argc, argv, first, &options, &help);
        if (good && !help) code = verb->run(&options);
        cli_options_free(&options);
    }
    if (!good || !help) return code;
    cli_print_verb_help(verb);
    return EXIT_DONE;
}

int main(int argc, char **argv) {
    if (!cli_open_standard_streams()) return EXIT_FAILED; /* and there may be nowhere to say so */
    if (argc < 2) {
        fputs("coulis: no command given; see 'coulis help'\n", stderr);
        return EXIT_USAGE;
    }
    static const char *const short_forms[][2] = {
        {"-h", "help"}, {"--help", "help"}, {"-v", "version"}, {"--version", "version"}};
    char *renamed[3] = {argv[0], argv[1], NULL};
    for (size_t i = 0; i < sizeof short_forms / sizeof *short_forms; i++)
        if (argc == 2 && strcmp(argv[1], short_forms[i][0]) == 0) {
            renamed[1] = (char *)short_forms[i][1];
            argv = renamed;
        }
    int first;
    const cli_verb *verb = cli_find_verb(argc, argv, &first);
    return flush(verb ? run(verb, argc, argv, first) : EXIT_USAGE);
}
