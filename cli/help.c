/* Help, made of the table: an overview, one verb, and everything as JSON. */
#include <stdio.h>
#include <string.h>

#include "system.h"
#include "table.h"

enum { COLUMN = 28, WIDTH_LEAST = 60, WIDTH_MOST = 120 };

bool cli_takes_value(const cli_option *option) {
    return option->kind != CLI_FLAG && !(option->kind == CLI_PASSED && !option->value);
}

const char *cli_value_text(const cli_option *option, char *text, size_t capacity) {
    snprintf(text, capacity, "%s", option->value ? option->value : "");
    const char *word;
    size_t used = 0;
    for (int32_t i = 0; option->kind == CLI_WORD && !option->value; i++) {
        if (!(word = coulis_option_word(option->name, i))) break;
        int more = snprintf(text + used, capacity - used, "%s%s", i ? "|" : "", word);
        if (more < 0 || (size_t)more >= capacity - used) break;
        used += (size_t)more;
    }
    return text;
}

const char *cli_default_text(const cli_option *option, char *text, size_t capacity) {
    cli_options options;
    cli_defaults(&options);
    const void *at = (const char *)&options + option->at;
    const char *word = NULL;
    *text = '\0';
    if (option->required) return text;
    if (option->initial) snprintf(text, capacity, "%s", option->initial);
    else if (option->kind == CLI_WORD) word = coulis_option_word(option->name, *(const int32_t *)at);
    else if (option->kind == CLI_TEXT) word = *(const char *const *)at;
    else if (option->kind == CLI_INT32) snprintf(text, capacity, "%d", *(const int32_t *)at);
    else if (option->kind == CLI_INT64) snprintf(text, capacity, "%lld", (long long)*(const int64_t *)at);
    else if (option->kind == CLI_REAL || option->kind == CLI_COMPONENTS)
        snprintf(text, capacity, "%.15g", *(const double *)at);
    if (word) snprintf(text, capacity, "%s", word);
    return text;
}

/* ---- text for a terminal ---- */

static int width(void) {
    int columns = cli_terminal_columns();
    if (!columns) columns = 100;
    return columns < WIDTH_LEAST ? WIDTH_LEAST : columns > WIDTH_MOST ? WIDTH_MOST : columns;
}

/* Prints `text` from column `indent` on, in lines that fit. */
static void print_wrapped(const char *text, int indent) {
    const int limit = width();
    int at = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > indent && at + 1 + length > limit) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", length, text);
        at += length;
        text += length + (text[length] == ' ');
    }
    putchar('\n');
}

/* "  left   right", the right side from `column` on, on a line of its own where the left is longer. */
static void print_pair(const char *left, const char *right, int column) {
    int at = printf("  %s", left);
    if (at + 2 > column) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", column - at, "");
    print_wrapped(right, column);
}

static void print_option(const cli_option *option) {
    char value[256], initial[256], left[320], right[1024], brief[8] = "";
    if (option->letter) snprintf(brief, sizeof brief, "-%c, ", option->letter);
    cli_value_text(option, value, sizeof value);
    cli_default_text(option, initial, sizeof initial);
    snprintf(left, sizeof left, "%s--%s%s%s", brief, option->name, *value ? " " : "", value);
    snprintf(right, sizeof right, "%s%s%s%s%s", option->help, *initial ? " (" : "", initial, *initial ? ")" : "",
             option->required ? " (required)" : "");
    print_pair(left, right, COLUMN);
}

void cli_print_overview(const char *group) {
    if (!group) printf("%s\n\n", cli_about);
    size_t length = group ? strlen(group) : 0;
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (group && (strncmp(verb->name, group, length) != 0 || verb->name[length] != ' ')) continue;
        char usage[256];
        snprintf(usage, sizeof usage, "coulis %s%s%s", verb->name, *verb->arguments ? " " : "", verb->arguments);
        print_pair(usage, verb->summary, 40);
    }
    putchar('\n');
    if (!group) {
        print_wrapped(cli_paths, 0);
        printf("\nExit: ");
        print_wrapped(cli_exit_codes, 6);
        putchar('\n');
    }
    printf("'coulis help COMMAND' lists the options of a command, with an example.\n");
}

void cli_print_verb_help(const cli_verb *verb) {
    printf("usage: coulis %s%s%s [OPTION...]\n\n", verb->name, *verb->arguments ? " " : "", verb->arguments);
    print_wrapped(verb->summary, 0);
    if (verb->details) {
        putchar('\n');
        print_wrapped(verb->details, 0);
    }
    if (verb->bit & CLI_PATHS) {
        putchar('\n');
        print_wrapped(cli_paths, 0);
    }
    printf("\nOptions:\n");
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit) print_option(row);
    print_pair("-h, --help", "this text", COLUMN);
    printf("\nExample:\n");
    for (const char *line = verb->example; *line;) {
        int length = (int)strcspn(line, "\n");
        printf("  %.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
}

/* ---- for programs ---- */

static void print_quoted(const char *text) {
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if (*text == '\n') fputs("\\n", stdout);
        else putchar(*text);
    putchar('"');
}

void cli_print_table(void) {
    printf("[");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        printf("%s\n{\"name\": ", verb == cli_verbs ? "" : ",");
        print_quoted(verb->name);
        printf(", \"arguments\": ");
        print_quoted(verb->arguments);
        printf(", \"summary\": ");
        print_quoted(verb->summary);
        printf(", \"example\": ");
        print_quoted(verb->example);
        printf(", \"python\": %s, \"options\": [", verb->module ? "true" : "false");
        bool first = true;
        for (const cli_option *row = cli_table; row->name; row++) {
            if (!(row->verbs & verb->bit)) continue;
            char value[256], initial[256], letter[2] = {row->letter, '\0'};
            printf("%s\n  {\"name\": \"%s\", \"letter\": \"%s\", \"value\": ", first ? "" : ",", row->name, letter);
            first = false;
            print_quoted(cli_value_text(row, value, sizeof value));
            printf(", \"default\": ");
            print_quoted(cli_default_text(row, initial, sizeof initial));
            printf(", \"required\": %s, \"help\": ", row->required ? "true" : "false");
            print_quoted(row->help);
            printf("}");
        }
        printf("]}");
    }
    printf("\n]\n");
}
