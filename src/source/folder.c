/* A folder and all below it. */
#include <errno.h>
#include <stdlib.h>

#include "base/files.h"
#include "source/inputs.h"

/* A set of folders by device and number: an open hash table, a power of two, at most half full. */
typedef struct seen {
    struct place {
        uint64_t device, number;
        bool used;
    } *places;
    size_t capacity, count;
} seen;

static size_t place_of(const seen *set, uint64_t device, uint64_t number) {
    size_t at = (size_t)(number * 0x9E3779B97F4A7C15u >> 20 ^ device) & (set->capacity - 1);
    while (set->places[at].used && (set->places[at].device != device || set->places[at].number != number))
        at = (at + 1) & (set->capacity - 1);
    return at;
}

/* Adds a folder; *is_new says whether it was not there yet. */
static coulis_status add_seen(seen *set, const cl_about *info, bool *is_new, coulis_error *error) {
    if (set->count * 2 >= set->capacity) {
        seen larger = {.capacity = set->capacity ? set->capacity * 2 : 256};
        larger.places = cl_alloc_zero(larger.capacity, sizeof *larger.places);
        if (!larger.places) return cl_fail_memory(error, "the folders seen", larger.capacity * sizeof *larger.places);
        for (size_t i = 0; i < set->capacity; i++)
            if (set->places[i].used)
                larger.places[place_of(&larger, set->places[i].device, set->places[i].number)] = set->places[i];
        larger.count = set->count;
        cl_free(set->places);
        *set = larger;
    }
    size_t at = place_of(set, info->device, info->number);
    *is_new = !set->places[at].used;
    if (*is_new) {
        set->places[at] = (struct place){info->device, info->number, true};
        set->count++;
    }
    return COULIS_OK;
}

/* Paths that wait. */
typedef struct paths {
    char **items;
    size_t count, capacity;
} paths;

static coulis_status push(paths *list, char *path, coulis_error *error) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 16;
        char **items = cl_grow(list->items, capacity, sizeof *items);
        if (!items) {
            cl_free(path);
            return cl_fail_memory(error, "the folders", capacity * sizeof *items);
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = path;
    return COULIS_OK;
}

static void free_paths(paths *list) {
    for (size_t i = 0; i < list->count; i++) cl_free(list->items[i]);
    cl_free(list->items);
}

typedef struct walk {
    cl_inputs *inputs;
    size_t root; /* bytes of the PATH */
    bool has_output;
    cl_about output;
    seen folders;
    paths pending, links; /* folders to list; links to folders, for later */
    coulis_error *error;
} walk;

/* The way from the PATH. */
static const char *below(const walk *w, const char *path) {
    const char *rest = path + w->root;
    return *rest == '/' ? rest + 1 : rest;
}

/* A folder that cannot be read is a row, unless it is the PATH itself or the machine is out of something. */
static coulis_status fault(walk *w, const char *path, int number) {
    if (strlen(path) == w->root || cl_of_the_machine(number))
        return cl_fail(w->error, COULIS_IO, "%s: folder cannot be read: %s", path, strerror(number));
    char *message = cl_format("%s: folder cannot be read: %s", path, strerror(number));
    if (!message) return cl_fail_memory(w->error, "a message", strlen(path));
    const cl_entry entry = {.bytes = -1,
                            .modified = CL_NO_TIME,
                            .kind = CL_ENTRY_FAULT,
                            .fields = 1,
                            .argument = w->inputs->argument_count - 1};
    const char *const fields[] = {message};
    coulis_status status = cl_list_append(&w->inputs->list, path, strlen(path), fields, entry, w->error);
    cl_free(message);
    w->inputs->faults++;
    return status;
}

/* What a name in a folder is; takes `path` over. `info` is of the link itself where it is one, and of nothing when it
 * cannot be had for the reason `cannot`, a number of errno: opening the file will tell. */
static coulis_status take(walk *w, char *path, cl_about *info, int cannot) {
    const coulis_source_options *options = &w->inputs->options;
    const bool link = !cannot && info->kind == CL_PATH_LINK;
    bool there = !cannot && (!link || cl_look(path, info));
    coulis_status status = COULIS_OK;
    if (!there && cl_of_the_machine(cannot ? cannot : errno)) {
        status = cl_fail(w->error, COULIS_IO, "%s: %s", path, strerror(cannot ? cannot : errno));
        cl_free(path);
        return status;
    }
    if (there && info->kind == CL_PATH_FOLDER) {
        bool output = w->has_output && cl_same_place(info, &w->output);
        if (!output && cl_choose_folder(options, below(w, path)) == CL_TAKE)
            return push(link ? &w->links : &w->pending, path, w->error);
        w->inputs->left_out[CL_EXCLUDED] += !output;
    } else if (!there || info->kind == CL_PATH_FILE) { /* a link to nothing, too: it has a row that says so */
        if (cl_choose_file(options, below(w, path)) == CL_TAKE) {
            cl_entry entry = {.bytes = -1, .modified = CL_NO_TIME, .argument = w->inputs->argument_count - 1};
            if (there) {
                entry.bytes = info->bytes;
                entry.modified = info->modified;
            }
            status = cl_list_append(&w->inputs->list, path, strlen(path), NULL, entry, w->error);
        } else {
            w->inputs->left_out[CL_EXCLUDED]++;
        }
    } /* devices, pipes and sockets are not images */
    cl_free(path);
    return status;
}

static coulis_status list_folder(walk *w, const char *folder) {
    cl_about info;
    bool is_new = false;
    cl_listing *listing = cl_listing_open(folder);
    if (!listing) return fault(w, folder, errno);
    coulis_status status = cl_listing_about(listing, &info) ? add_seen(&w->folders, &info, &is_new, w->error)
                                                            : fault(w, folder, errno);
    while (!status && is_new) {
        const char *name = cl_listing_next(listing);
        if (!name) {
            if (errno) status = fault(w, folder, errno);
            break;
        }
        cl_verdict verdict = cl_choose_name(&w->inputs->options, name);
        if (verdict != CL_TAKE) {
            w->inputs->left_out[verdict]++;
            continue;
        }
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        char *path = cl_format("%s%s%s", folder, slash, name);
        if (!path) status = cl_fail_memory(w->error, "a path", strlen(folder));
        else if (cl_listing_look(listing, name, &info)) status = take(w, path, &info, 0);
        else if (errno != ENOENT) status = take(w, path, &info, errno);
        else cl_free(path); /* removed meanwhile */
    }
    cl_listing_close(listing);
    return status;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lists what is pending, and then, in order, the folders behind links that were not listed by their own names. */
static coulis_status walk_all(walk *w) {
    coulis_status status = COULIS_OK;
    for (;;) {
        while (!status && w->pending.count > 0) {
            char *folder = w->pending.items[--w->pending.count];
            status = list_folder(w, folder);
            cl_free(folder);
        }
        if (status || w->links.count == 0) return status;
        qsort(w->links.items, w->links.count, sizeof *w->links.items, by_text);
        char *link = w->links.items[0];
        memmove(w->links.items, w->links.items + 1, --w->links.count * sizeof *w->links.items);
        status = push(&w->pending, link, w->error);
    }
}

coulis_status cl_append_folder(cl_inputs *inputs, const char *folder, const char *output, coulis_error *error) {
    walk w = {.inputs = inputs, .root = strlen(folder), .error = error};
    while (w.root > 1 && folder[w.root - 1] == '/') w.root--;
    inputs->arguments[inputs->argument_count - 1].root = w.root;
    w.has_output = output && cl_look(output, &w.output);
    if (output && !w.has_output && cl_of_the_machine(errno))
        return cl_fail(error, COULIS_IO, "%s: %s", output, strerror(errno));
    const int64_t first = inputs->list.count;
    char *root = cl_format("%.*s", (int)w.root, folder);
    coulis_status status = root ? push(&w.pending, root, error) : cl_fail_memory(error, "a path", w.root);
    if (!status) status = walk_all(&w);
    free_paths(&w.pending);
    free_paths(&w.links);
    cl_free(w.folders.places);
    if (!status && inputs->list.count == first)
        return cl_fail(error, COULIS_MISSING, "%s: no files in this folder", folder);
    if (!status) cl_list_sort(&inputs->list, first);
    return status;
}
