/* coulis(1), made of the table. The macros are those of man(7). */
#include <ctype.h>
#include <stdio.h>

#include "table.h"

/* Text in roff: no letter of it is a request or an escape. */
static void print_text(const char *text) {
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
        if (*text == '\\') fputs("\\e", stdout);
        else if (*text == '-') fputs("\\-", stdout);
        else if (*text == '\'') fputs("\\(aq", stdout);
        else putchar(*text);
        begins = *text == '\n';
    }
}

static void print_line(const char *before, const char *text) {
    fputs(before, stdout);
    print_text(text);
    putchar('\n');
}

static void print_option(const cli_option *option) {
    char value[256], initial[256];
    cli_value_text(option, value, sizeof value);
    cli_default_text(option, initial, sizeof initial);
    printf(".TP\n\\fB");
    if (option->letter) printf("\\-%c\\fR, \\fB", option->letter);
    printf("\\-\\-");
    print_text(option->name);
    printf("\\fR");
    if (*value) {
        printf(" \\fI");
        print_text(value);
        printf("\\fR");
    }
    printf("\n");
    print_text(option->help);
    if (option->required) printf(" (required)");
    if (*initial) {
        printf(" (default: ");
        print_text(initial);
        printf(")");
    }
    printf("\n");
}

static void print_verb(const cli_verb *verb) {
    printf(".SS coulis ");
    print_text(verb->name);
    if (*verb->arguments) {
        putchar(' ');
        print_text(verb->arguments);
    }
    printf("\n");
    char first[2] = {(char)toupper((unsigned char)verb->summary[0]), '\0'};
    print_text(first);
    print_text(verb->summary + 1);
    printf(".\n");
    if (verb->details) print_line("", verb->details);
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit) print_option(row);
    printf(".PP\nExample:\n.PP\n.nf\n.RS\n");
    print_text(verb->example);
    printf("\n.RE\n.fi\n");
}

void cli_print_man(void) {
    printf(".TH COULIS 1 \"\" \"coulis %s\" \"coulis\"\n", coulis_version());
    printf(".SH NAME\ncoulis \\- images to feature vectors to principal components to Parquet\n");
    printf(".SH SYNOPSIS\n\\fBcoulis\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n");
    print_line(".SH DESCRIPTION\n", cli_about);
    print_line(".PP\n", cli_paths);
    printf(".PP\nMessages, progress and the summary for people go to standard error; standard output carries what a "
           "program reads.\n.SH COMMANDS\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) print_verb(verb);
    print_line(".SH EXIT STATUS\n", cli_exit_codes);
    print_line(".SH ENVIRONMENT\n", cli_environment);
}
