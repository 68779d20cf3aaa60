/* TIFF: the first image of a file. Directory and uncompressed pixels are read here, as Pillow does; compressed ones by
 * libtiff. */
#include "image/tiff.h"

#include "image/exif.h"

static const uint32_t compressions[] = {1,     2,     3,     4,     5,     6,     7,     8,    32771,
                                        32773, 32809, 32946, 34676, 34677, 34925, 50000, 50001};

static bool is_known(uint64_t compression) {
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++)
        if (compressions[i] == compression) return true;
    return false;
}

/* Pillow turns a TIFF upright whenever it reads one, so this does not depend on options.orient. */
static int32_t orientation(const cl_tiff *t) {
    uint64_t value;
    int32_t found = 1;
    if (cl_tiff_number(t, CL_TIFF_ORIENTATION, 0, &value)) return value >= 1 && value <= 8 ? (int32_t)value : 1;
    const cl_tiff_field *xmp = &t->fields[CL_TIFF_XMP];
    if (xmp->data) cl_xmp_orientation(xmp->data, xmp->count, &found);
    return found;
}

static coulis_status read_pixels(cl_tiff *t) {
    uint64_t compression = cl_tiff_number_or(t, CL_TIFF_COMPRESSION, 1);
    coulis_status status = cl_canvas_create(t->image, &t->canvas);
    if (status) return status;
    status = compression == 1 ? cl_tiff_read_plain(t) : cl_tiff_read_compressed(t, (uint32_t)compression);
    if (!status) status = cl_tiff_convert(t);
    if (status) cl_canvas_free(t->canvas);
    return status;
}

/* A camera's raw file has the layout of a TIFF: it names its maker, and its first image is a small one, or none that is
 * read here. Canon's CR2 says so in its header. */
static bool is_raw(const cl_tiff *t, bool readable) {
    const cl_source *p = t->image;
    if (p->size >= 10 && p->bytes[8] == 'C' && p->bytes[9] == 'R') return true;
    if (!t->fields[CL_TIFF_MAKE].data && !t->fields[CL_TIFF_DNG_VERSION].data) return false;
    return !readable || cl_tiff_number_or(t, CL_TIFF_KIND, 0) == 1;
}

coulis_status cl_tiff_open(cl_source *image, cl_decoder **decoder) {
    cl_tiff t = {.image = image};
    coulis_status status = cl_tiff_read_directory(&t);
    if (status) return status;
    uint64_t width, height, compression = cl_tiff_number_or(&t, CL_TIFF_COMPRESSION, 1);
    if (!cl_tiff_number(&t, CL_TIFF_WIDTH, 0, &width) || !cl_tiff_number(&t, CL_TIFF_HEIGHT, 0, &height))
        return cl_tiff_fail(&t, "its directory names no width and height");
    coulis_status layout = cl_tiff_find_layout(&t);
    bool readable = is_known(compression) && !layout;
    if (is_raw(&t, readable)) {
        status = cl_raw_open(image, decoder);
        if (status != COULIS_UNREADABLE || !readable) return status;
        cl_clear(image->error); /* not a raw file after all */
    }
    status = cl_source_set_size(image, width, height);
    if (!status && !is_known(compression)) {
        status = cl_source_fail(image, COULIS_UNREADABLE, "is a TIFF with an unknown compression (%llu)",
                                (unsigned long long)compression);
    }
    if (!status) status = layout;
    if (!status) status = read_pixels(&t);
    if (status) return status;
    t.canvas->base.orientation = orientation(&t);
    *decoder = &t.canvas->base;
    return COULIS_OK;
}
