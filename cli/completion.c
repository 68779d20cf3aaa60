/* Completions for bash, zsh and fish, made of the table. */
#include <stdio.h>
#include <string.h>

#include "table.h"

/* Names of models, for all three shells. */
#define MODELS "coulis models list 2>/dev/null | awk 'NR > 1 { print $1 }'"

/* The words that a value can have, separated by `separator`; 0 when they are not listed. */
static int print_words(const cli_option *row, char separator) {
    char text[256];
    cli_value_text(row, text, sizeof text);
    if (row->kind != CLI_WORD &&
        !(strchr(text, '|') && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789|RGB") == strlen(text)))
        return 0;
    for (char *c = text; *c; c++) putchar(*c == '|' ? separator : *c);
    return 1;
}

/* The first word of a verb's name, and the second or NULL. */
static const char *second_word(const cli_verb *verb) {
    const char *blank = strchr(verb->name, ' ');
    return blank ? blank + 1 : NULL;
}

static int first_length(const cli_verb *verb) { return (int)strcspn(verb->name, " "); }

/* Whether an earlier row has the same first word. */
static bool is_repeated(const cli_verb *verb) {
    for (const cli_verb *before = cli_verbs; before < verb; before++)
        if (first_length(before) == first_length(verb) &&
            strncmp(before->name, verb->name, (size_t)first_length(verb)) == 0)
            return true;
    return false;
}

/* The first words of all verbs, or with `group` the second words of those that begin with it. */
static void print_verbs(const cli_verb *group) {
    const char *blank = "";
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (group ? !second_word(verb) || first_length(verb) != first_length(group) ||
                        strncmp(verb->name, group->name, (size_t)first_length(group)) != 0
                  : is_repeated(verb))
            continue;
        if (group) printf("%s%s", blank, second_word(verb));
        else printf("%s%.*s", blank, first_length(verb), verb->name);
        blank = " ";
    }
}

/* ---- bash ---- */

static void bash_values(cli_values values) {
    switch (values) {
    case CLI_FILES: printf("compgen -f -- \"$cur\""); break;
    case CLI_FOLDERS: printf("compgen -d -- \"$cur\""); break;
    case CLI_MODELS: printf("compgen -f -W \"$(" MODELS ")\" -- \"$cur\""); break;
    case CLI_VERBS:
        printf("compgen -W '");
        print_verbs(NULL);
        printf("' -- \"$cur\"");
        break;
    case CLI_SHELLS: printf("compgen -W 'bash zsh fish' -- \"$cur\""); break;
    case CLI_ANYTHING: printf("true"); break;
    }
}

static void bash_verb(const cli_verb *verb) {
    printf("        '%s')\n            case $prev in\n", verb->name);
    for (const cli_option *row = cli_table; row->name; row++) {
        if (!(row->verbs & verb->bit) || !cli_takes_value(row)) continue;
        printf("                ");
        if (row->letter) printf("-%c|", row->letter);
        printf("--%s) mapfile -t COMPREPLY < <(", row->name);
        char text[256];
        if (row->kind == CLI_WORD || strchr(cli_value_text(row, text, sizeof text), '|')) {
            printf("compgen -W '");
            if (print_words(row, ' ')) printf("' -- \"$cur\"");
            else printf("' -- \"$cur\"; "), bash_values(row->values);
        } else {
            bash_values(row->values);
        }
        printf("); return ;;\n");
    }
    printf("            esac\n            case $cur in\n                -*) mapfile -t COMPREPLY < <(compgen -W '");
    for (const cli_option *row = cli_table; row->name; row++)
        if (row->verbs & verb->bit) printf("--%s ", row->name);
    printf("--help' -- \"$cur\") ;;\n                *) mapfile -t COMPREPLY < <(");
    bash_values(verb->values);
    printf(") ;;\n            esac ;;\n");
}

static void print_bash(void) {
    printf("# Completion of coulis for bash; made by 'coulis completion bash'.\n"
           "_coulis() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W '");
    print_verbs(NULL);
    printf("' -- \"$cur\")\n        return\n    fi\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (!second_word(verb) || is_repeated(verb)) continue;
        printf("    if [ \"$verb\" = %.*s ]; then\n"
               "        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
               "            mapfile -t COMPREPLY < <(compgen -W '",
               first_length(verb), verb->name);
        print_verbs(verb);
        printf("' -- \"$cur\")\n            return\n        fi\n        verb=\"$verb ${COMP_WORDS[2]}\"\n    fi\n");
    }
    printf("    case $verb in\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) bash_verb(verb);
    printf("    esac\n}\ncomplete -o filenames -F _coulis coulis\n");
}

/* ---- zsh ---- */

/* Text within '...[text]': quotes and brackets would end it, a colon would begin the next field. */
static void zsh_text(const char *text) {
    for (; *text; text++)
        if (*text == '\'') fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text)) printf("\\%c", *text);
        else putchar(*text);
}

static void zsh_values(cli_values values) {
    switch (values) {
    case CLI_FILES: printf("_files"); break;
    case CLI_FOLDERS: printf("_files -/"); break;
    case CLI_MODELS: printf("_coulis_models"); break;
    case CLI_VERBS:
        printf("(");
        print_verbs(NULL);
        printf(")");
        break;
    case CLI_SHELLS: printf("(bash zsh fish)"); break;
    case CLI_ANYTHING: printf(" "); break;
    }
}

static void zsh_verb(const cli_verb *verb) {
    printf("        '%s')\n            _arguments", verb->name);
    for (const cli_option *row = cli_table; row->name; row++) {
        if (!(row->verbs & verb->bit)) continue;
        if (row->letter)
            printf(" \\\n                '(-%c --%s)'{-%c,--%s}'[", row->letter, row->name, row->letter, row->name);
        else printf(" \\\n                '--%s[", row->name);
        zsh_text(row->help);
        printf("]");
        if (cli_takes_value(row)) {
            char value[256];
            printf(":");
            zsh_text(cli_value_text(row, value, sizeof value));
            printf(":");
            if (strchr(value, '|') && row->values == CLI_ANYTHING) {
                printf("(");
                if (!print_words(row, ' ')) printf(" ");
                printf(")");
            } else {
                zsh_values(row->values);
            }
        }
        printf("'");
    }
    printf(" \\\n                '(-h --help)'{-h,--help}'[this text]'");
    if (verb->paths_max != 0) {
        printf(" \\\n                '*:argument:");
        zsh_values(verb->values);
        printf("'");
    }
    printf(" ;;\n");
}

static void print_zsh(void) {
    printf("#compdef coulis\n# Completion of coulis for zsh; made by 'coulis completion zsh'.\n"
           "_coulis_models() {\n    local -a found\n    found=(${(f)\"$(" MODELS ")\"})\n"
           "    compadd -a found\n    _files\n}\n"
           "_coulis() {\n    local verb=$words[2]\n    local -a verbs\n    verbs=(");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (is_repeated(verb)) continue;
        printf("\n        '%.*s:", first_length(verb), verb->name);
        zsh_text(second_word(verb) ? "list, show, add" : verb->summary);
        printf("'");
    }
    printf(")\n    if (( CURRENT == 2 )); then\n        _describe command verbs\n        return\n    fi\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (!second_word(verb) || is_repeated(verb)) continue;
        printf("    if [[ $verb == %.*s ]]; then\n        if (( CURRENT == 3 )); then\n            compadd ",
               first_length(verb), verb->name);
        print_verbs(verb);
        printf("\n            return\n        fi\n        verb=\"$verb $words[3]\"\n        shift words\n"
               "        (( CURRENT-- ))\n    fi\n");
    }
    printf("    shift words\n    (( CURRENT-- ))\n    case $verb in\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) zsh_verb(verb);
    printf("    esac\n}\nif [ \"$funcstack[1]\" = _coulis ]; then _coulis \"$@\"; else compdef _coulis coulis; fi\n");
}

/* ---- fish ---- */

static void fish_text(const char *text) {
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void fish_condition(const cli_verb *verb) {
    printf("complete -c coulis -n '__fish_seen_subcommand_from %.*s", first_length(verb), verb->name);
    if (second_word(verb)) printf("; and __fish_seen_subcommand_from %s", second_word(verb));
    printf("'");
}

static void fish_values(cli_values values) {
    if (values == CLI_FILES) printf(" -F");
    if (values == CLI_FOLDERS) printf(" -a '(__fish_complete_directories)'");
    if (values == CLI_MODELS) printf(" -a \"(" MODELS ")\"");
    if (values == CLI_SHELLS) printf(" -a 'bash zsh fish'");
    if (values == CLI_VERBS) {
        printf(" -a '");
        print_verbs(NULL);
        printf("'");
    }
}

static void fish_verb(const cli_verb *verb) {
    if (verb->values != CLI_ANYTHING) {
        fish_condition(verb);
        fish_values(verb->values);
        printf("\n");
    }
    for (const cli_option *row = cli_table; row->name; row++) {
        if (!(row->verbs & verb->bit)) continue;
        fish_condition(verb);
        if (row->letter) printf(" -s %c", row->letter);
        printf(" -l %s", row->name);
        if (cli_takes_value(row)) {
            char value[256];
            printf(row->values == CLI_FILES ? " -r" : " -x");
            if (strchr(cli_value_text(row, value, sizeof value), '|') && row->values == CLI_ANYTHING) {
                printf(" -a '");
                print_words(row, ' ');
                printf("'");
            } else {
                fish_values(row->values);
            }
        }
        printf(" -d ");
        fish_text(row->help);
        printf("\n");
    }
    fish_condition(verb);
    printf(" -s h -l help -d 'this text'\n");
}

static void print_fish(void) {
    printf("# Completion of coulis for fish; made by 'coulis completion fish'.\ncomplete -c coulis -f\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        if (!is_repeated(verb)) {
            printf("complete -c coulis -n __fish_use_subcommand -a %.*s", first_length(verb), verb->name);
            if (!second_word(verb)) printf(" -d "), fish_text(verb->summary);
            printf("\n");
        }
        if (second_word(verb)) {
            printf("complete -c coulis -n '__fish_seen_subcommand_from %.*s' -a %s -d ", first_length(verb), verb->name,
                   second_word(verb));
            fish_text(verb->summary);
            printf("\n");
        }
    }
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) fish_verb(verb);
}

int cli_completion(const cli_options *options) {
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(options->paths[0], shells[i].shell) != 0) continue;
        shells[i].print();
        return EXIT_DONE;
    }
    return cli_usage("there is no completion for '%s', only for bash, zsh and fish", options->paths[0]);
}
