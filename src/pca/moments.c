#include "base/error.h"

#define LATER cl_fail(error, COULIS_INTERNAL, "not there yet")
int64_t coulis_moments_leaf_rows(int64_t cols) { return (void)cols, 1024; }
coulis_status coulis_moments_create(int64_t cols, int64_t first_row, int32_t threads, coulis_moments **moments,
                                    coulis_error *error) {
    return (void)cols, (void)first_row, (void)threads, (void)moments, LATER;
}
void coulis_moments_free(coulis_moments *moments) { (void)moments; }
coulis_status coulis_moments_update(coulis_moments *moments, const float *x, int64_t rows, coulis_error *error) {
    return (void)moments, (void)x, (void)rows, LATER;
}
coulis_status coulis_moments_merge(coulis_moments *moments, const coulis_moments *other, coulis_error *error) {
    return (void)moments, (void)other, LATER;
}
coulis_status coulis_moments_finish(const coulis_moments *moments, const coulis_pca_options *options,
                                    coulis_pca **pca, coulis_error *error) {
    return (void)moments, (void)options, (void)pca, LATER;
}
coulis_status coulis_moments_save(const coulis_moments *moments, void **bytes, size_t *size, coulis_error *error) {
    return (void)moments, (void)bytes, (void)size, LATER;
}
coulis_status coulis_moments_load(const void *bytes, size_t size, int32_t threads, coulis_moments **moments,
                                  coulis_error *error) {
    return (void)bytes, (void)size, (void)threads, (void)moments, LATER;
}
void coulis_bytes_free(void *bytes) { (void)bytes; }
int64_t coulis_moments_rows(const coulis_moments *moments) { return (void)moments, 0; }
int64_t coulis_moments_columns(const coulis_moments *moments) { return (void)moments, 0; }
