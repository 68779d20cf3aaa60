/* Stands in the wheel for libjbig, which Debian's libtiff asks for: that library is GPL-2, which a wheel under the MIT
 * licence cannot bring along. TIFF files compressed by JBIG, a code for fax machines, are refused with the sentence
 * below; all others do not call it. The names are those that libtiff links to. */
#include <stddef.h>

void jbg_dec_init(void *state);
int jbg_dec_in(void *state, const unsigned char *data, size_t size, size_t *used);
unsigned char *jbg_dec_getimage(const void *state, int plane);
long jbg_dec_getsize(const void *state);
void jbg_dec_free(void *state);
int jbg_newlen(unsigned char *data, size_t size);
const char *jbg_strerror(int error);
void jbg_enc_init(void *state);
void jbg_enc_out(void *state);
void jbg_enc_free(void *state);

void jbg_dec_init(void *state) { (void)state; }

int jbg_dec_in(void *state, const unsigned char *data, size_t size, size_t *used) {
    (void)state, (void)data, (void)size, (void)used;
    return 1;
}

unsigned char *jbg_dec_getimage(const void *state, int plane) {
    (void)state, (void)plane;
    return NULL;
}

long jbg_dec_getsize(const void *state) {
    (void)state;
    return 0;
}

void jbg_dec_free(void *state) { (void)state; }

int jbg_newlen(unsigned char *data, size_t size) {
    (void)data, (void)size;
    return 0;
}

const char *jbg_strerror(int error) {
    (void)error;
    return "JBIG compression is not part of this wheel, as its library is GPL-2";
}

void jbg_enc_init(void *state) { (void)state; }
void jbg_enc_out(void *state) { (void)state; }
void jbg_enc_free(void *state) { (void)state; }
