/* Verbs that the Python package does, such as 'models add': weights of other projects are read there, as the library
 * itself reads nothing but its own files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "system.h"

enum { PATH_CAPACITY = 4096 };

/* Whether `python` is a program that can import `module`. */
static bool can_import(const char *python, const char *module) {
    static const char program[] = "import importlib, sys; importlib.import_module(sys.argv[1] + '.__main__')";
    return cli_run_silently((const char *const[]){python, "-c", program, module, NULL});
}

/* A Python beside this command: in its own folder, or in the environment of the checkout that it was built in. */
static bool beside(const char *relative, const char *module, char *path) {
    char folder[PATH_CAPACITY];
    if (!cli_program_folder(folder, sizeof folder)) return false;
    int count = snprintf(path, PATH_CAPACITY, "%s/%s", folder, relative);
    return count > 0 && count < PATH_CAPACITY && cli_is_program(path) && can_import(path, module);
}

static bool find_python(const char *module, char *path) {
    const char *named = getenv("COULIS_PYTHON");
    if (named && *named) {
        snprintf(path, PATH_CAPACITY, "%s", named);
        if (can_import(path, module)) return true;
        fprintf(stderr, "coulis: COULIS_PYTHON is %s, which cannot be run or cannot import coulis and numpy\n", named);
        return false;
    }
    if (beside("python3", module, path) || beside("../.venv/bin/python", module, path)) return true;
    static const char *const in_path[] = {"python3", "python"};
    for (size_t i = 0; i < sizeof in_path / sizeof *in_path; i++) {
        snprintf(path, PATH_CAPACITY, "%s", in_path[i]);
        if (can_import(path, module)) return true;
    }
    fputs("coulis: this command is part of the Python package coulis, and no python3 here can import it; install its "
          "wheel (pip install), or set COULIS_PYTHON to the Python that has it\n",
          stderr);
    return false;
}

int cli_python(const char *module, int argc, char **argv, int first) {
    char python[PATH_CAPACITY];
    setenv("PYTHONSAFEPATH", "1", 0); /* the package is not to come from the folder a person happens to stand in */
    if (!find_python(module, python)) return EXIT_FAILED;
    const char **arguments = calloc((size_t)argc + 4, sizeof *arguments);
    if (arguments) {
        arguments[0] = python;
        arguments[1] = "-m";
        arguments[2] = module;
        for (int i = first; i < argc; i++) arguments[i - first + 3] = argv[i]; /* and NULL behind them, from calloc */
        cli_become(arguments);
    }
    fprintf(stderr, "coulis: %s could not be run: %s\n", python, strerror(errno));
    free(arguments);
    return EXIT_FAILED;
}
