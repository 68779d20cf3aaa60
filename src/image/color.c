#include "image/color.h"

#include <errno.h>

#include <lcms2.h>

/* Pixels converted at a time: LittleCMS counts in 32 bits. */
#define PIECE 65536

struct cl_color {
    cmsContext context;
    cmsHTRANSFORM transform;
};

static cmsUInt32Number pixel_type(cl_color_kind kind) {
    switch (kind) {
    case CL_COLOR_LAB: return COLORSPACE_SH(PT_LabV2) | CHANNELS_SH(3) | BYTES_SH(1) | EXTRA_SH(1);
    case CL_COLOR_CMYK: return TYPE_CMYK_8;
    default: return TYPE_CMYK_8_REV;
    }
}

static void create_transform(cl_color *c, const uint8_t *profile, size_t size, cl_color_kind kind) {
    cmsHPROFILE from = kind == CL_COLOR_LAB ? cmsCreateLab2ProfileTHR(c->context, NULL)
                                            : cmsOpenProfileFromMemTHR(c->context, profile, (cmsUInt32Number)size);
    cmsHPROFILE to = cmsCreate_sRGBProfileTHR(c->context);
    bool fits = from && to && (kind == CL_COLOR_LAB || cmsGetColorSpace(from) == cmsSigCmykData);
    if (fits)
        c->transform = cmsCreateTransformTHR(c->context, from, pixel_type(kind), to, TYPE_RGBA_8, INTENT_PERCEPTUAL, 0);
    if (from) cmsCloseProfile(from);
    if (to) cmsCloseProfile(to);
}

coulis_status cl_color_create(const cl_source *image, const uint8_t *profile, size_t size, cl_color_kind kind,
                              cl_color **color) {
    *color = NULL;
    if (size > UINT32_MAX) return COULIS_OK;
    cl_color *c = cl_alloc_zero(1, sizeof *c);
    if (!c) return cl_source_fail_memory(image);
    errno = 0;
    c->context = cmsCreateContext(NULL, NULL);
    if (c->context) create_transform(c, profile, size, kind);
    if (c->transform) {
        *color = c;
        return COULIS_OK;
    }
    bool memory = errno == ENOMEM;
    cl_color_free(c);
    return memory ? cl_source_fail_memory(image) : COULIS_OK;
}

void cl_color_apply(const cl_color *color, uint8_t *pixels, size_t count) {
    while (count > 0) {
        size_t piece = count < PIECE ? count : PIECE;
        cmsDoTransform(color->transform, pixels, pixels, (cmsUInt32Number)piece);
        for (size_t i = 0; i < piece; i++) pixels[4 * i + 3] = 255;
        pixels += 4 * piece;
        count -= piece;
    }
}

void cl_color_free(cl_color *color) {
    if (!color) return;
    if (color->transform) cmsDeleteTransform(color->transform);
    if (color->context) cmsDeleteContext(color->context);
    cl_free(color);
}
