#include "collection/members.h"

#include <stdlib.h>

#include "base/files.h"
#include "source/list.h"
#include "source/location.h"

void cl_members_begin(cl_members *m, const cl_remote_options *how) {
    *m = (cl_members){0};
    coulis_source_options_init(&m->options, sizeof m->options);
    m->options.no_sign_request = how->no_sign_request;
    m->options.requester_pays = how->requester_pays;
    m->options.all_files = 1; /* which were taken, the result says */
}

static void close_archive(cl_members *m) {
    if (m->open) m->open->close(m->open);
    cl_free(m->archive);
    m->open = NULL;
    m->archive = NULL;
    m->at = 0;
}

void cl_members_end(cl_members *m) {
    close_archive(m);
    cl_free(m->asked);
    m->asked = NULL;
}

/* Whether there is a file of that name, so that what follows it is not a folder's. */
static coulis_status look(cl_remote *remote, const char *name, bool *is_file, coulis_error *error) {
    cl_file_state state = {0};
    const bool elsewhere = cl_location_is_remote(name);
    coulis_status status = elsewhere ? cl_remote_state(remote, name, &state, error)
                                     : cl_file_state_at(name, &state, error);
    *is_file = !status && (elsewhere || state.has_bytes);
    return status < COULIS_INVALID_ARGUMENT ? COULIS_OK : status;
}

coulis_status cl_members_find(cl_members *m, cl_remote *remote, const char *path, size_t *length, coulis_error *error) {
    *length = 0;
    char *name = cl_strdup(path);
    if (!name) return cl_fail_memory(error, path, strlen(path));
    coulis_status status = COULIS_OK;
    char *begin = cl_location_is_remote(name) ? strstr(name, "://") + 3 : name;
    if (begin != name) begin += strcspn(begin, "/"); /* a server may be called so, too */
    for (char *slash = strchr(begin + (*begin == '/'), '/'); slash && !status && *length == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (cl_is_many(name)) {
            if (!m->asked || strcmp(m->asked, name) != 0) {
                cl_free(m->asked);
                m->asked = NULL;
                status = look(remote, name, &m->is_archive, error);
                if (!status && !(m->asked = cl_strdup(name))) status = cl_fail_memory(error, path, strlen(name));
            }
            if (!status && m->is_archive) *length = strlen(name);
        }
        *slash = '/';
    }
    cl_free(name);
    return status;
}

/* ---- the walk ---- */

typedef struct wanted {
    const char *path;
    int64_t number;
    bool taken;
} wanted;

static int by_path(const void *a, const void *b) {
    const wanted *one = a, *other = b;
    const int order = strcmp(one->path, other->path);
    return order ? order : (one->number > other->number) - (one->number < other->number);
}

/* The first of this path that was not taken yet, as several members may be called the same; NULL for none. */
static wanted *find(wanted *list, int64_t count, const char *path) {
    int64_t low = 0;
    for (int64_t high = count; low < high;) {
        const int64_t middle = low + (high - low) / 2;
        if (strcmp(list[middle].path, path) < 0) low = middle + 1;
        else high = middle;
    }
    while (low < count && strcmp(list[low].path, path) == 0 && list[low].taken) low++;
    return low < count && strcmp(list[low].path, path) == 0 ? &list[low] : NULL;
}

static coulis_status open_archive(cl_members *m, const char *path, size_t length, coulis_error *error) {
    close_archive(m);
    m->archive = cl_format("%.*s", (int)length, path);
    if (!m->archive) return cl_fail_memory(error, path, length);
    return cl_many_open(m->archive, &m->options, NULL, &m->open, error);
}

/* Of the image, if that is what the status says, rather than of the machine. */
static bool is_of_image(coulis_status status) { return status < COULIS_INVALID_ARGUMENT || status == COULIS_BAD_DATA; }

/* Goes on to the end, to item `until` (-1: the end), or to the last that is wanted. What is damaged ends there, too. */
static coulis_status walk(cl_members *m, wanted *list, int64_t count, int64_t *left, int64_t until, int64_t max_bytes,
                          cl_member_take take, void *context, coulis_error *damage, coulis_error *error) {
    coulis_status status = COULIS_OK;
    while (*left > 0 && m->at != until) {
        coulis_item item = {.size = sizeof item, .bytes = -1, .modified = CL_NO_TIME, .key = -1, .now = 1};
        status = m->open->next(m->open, &item, error);
        if (status == COULIS_BAD_DATA && error) *damage = *error;
        if (status == COULIS_BAD_DATA || (!status && !item.name)) {
            close_archive(m);
            return COULIS_OK;
        }
        if (status) return status;
        m->at++;
        wanted *found = find(list, count, item.name);
        if (!found) continue;
        void *bytes = NULL;
        size_t size = 0;
        coulis_error reason = {0};
        status = m->open->read(m->open, &item, max_bytes, &bytes, &size, &reason);
        if (status && !is_of_image(status)) return cl_fail(error, status, "%s", reason.message);
        found->taken = true;
        --*left;
        status = take(context, found->number, bytes, size, &reason, error);
        if (status) return status;
    }
    return COULIS_OK;
}

coulis_status cl_members_read(cl_members *m, const char *const *paths, const int64_t *numbers, int64_t count,
                              size_t length, int64_t max_bytes, cl_member_take take, void *context,
                              coulis_error *error) {
    wanted *list = cl_alloc((size_t)count, sizeof *list);
    if (!list) return cl_fail_memory(error, "thumbnails", (size_t)count * sizeof *list);
    for (int64_t i = 0; i < count; i++) list[i] = (wanted){.path = paths[numbers[i]], .number = numbers[i]};
    qsort(list, (size_t)count, sizeof *list, by_path);
    const char *path = paths[numbers[0]];
    const bool same = m->open && strlen(m->archive) == length && memcmp(m->archive, path, length) == 0;
    int64_t left = count;
    const int64_t began = same ? m->at : 0;
    coulis_error damage = {0}, own = {0};
    coulis_status status = same ? COULIS_OK : open_archive(m, path, length, &own);
    if (!status) status = walk(m, list, count, &left, -1, max_bytes, take, context, &damage, &own);
    if (!status && left > 0 && began > 0) { /* asked for in another order: what comes before where it was */
        status = open_archive(m, path, length, &own);
        if (!status) status = walk(m, list, count, &left, began, max_bytes, take, context, &damage, &own);
    }
    if (status && !m->open && is_of_image(status)) { /* it cannot be opened, and so none of them be had */
        damage = own;
        status = COULIS_OK;
    }
    for (int64_t i = 0; i < count && !status; i++) {
        coulis_error reason;
        if (list[i].taken) continue;
        if (damage.status) cl_fail(&reason, COULIS_UNREADABLE, "%s", damage.message);
        else cl_fail(&reason, COULIS_MISSING, "%s is no longer in that file", list[i].path);
        status = take(context, list[i].number, NULL, 0, &reason, &own);
    }
    cl_free(list);
    return status ? cl_fail(error, status, "%s", own.message) : COULIS_OK;
}
