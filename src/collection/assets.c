#include "collection/assets.h"

#ifdef COULIS_LEAFLET
/* The assembler copies each file into the read-only data, and a word behind it says how long it is. */
#define ASSET(symbol, path)                                                                                            \
    __asm__(".pushsection .rodata\n.balign 8\n.hidden cl_asset_" #symbol "\n.global cl_asset_" #symbol "\n"            \
            "cl_asset_" #symbol ":\n.incbin \"" path "\"\n1:\n.balign 8\n"                                             \
            ".hidden cl_asset_" #symbol "_size\n.global cl_asset_" #symbol "_size\n"                                   \
            "cl_asset_" #symbol "_size:\n.quad 1b - cl_asset_" #symbol "\n.popsection\n");                             \
    extern const char cl_asset_##symbol[] __attribute__((visibility("hidden")));                                       \
    extern const uint64_t cl_asset_##symbol##_size __attribute__((visibility("hidden")));

ASSET(page, COULIS_REPORT "/page.html")
ASSET(css, COULIS_REPORT "/report.css")
ASSET(js, COULIS_REPORT "/report.js")
ASSET(leaflet_css, COULIS_LEAFLET "/leaflet.css")
ASSET(leaflet_js, COULIS_LEAFLET "/leaflet.min.js")

cl_asset cl_report_part(const char *name, size_t length) {
    static const struct {
        const char *name, *bytes;
        const uint64_t *size;
    } parts[] = {{"PAGE", cl_asset_page, &cl_asset_page_size},
                 {"CSS", cl_asset_css, &cl_asset_css_size},
                 {"JS", cl_asset_js, &cl_asset_js_size},
                 {"LEAFLET_CSS", cl_asset_leaflet_css, &cl_asset_leaflet_css_size},
                 {"LEAFLET_JS", cl_asset_leaflet_js, &cl_asset_leaflet_js_size}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strlen(parts[i].name) == length && memcmp(parts[i].name, name, length) == 0)
            return (cl_asset){parts[i].bytes, (size_t)*parts[i].size};
    return (cl_asset){0};
}
#else
cl_asset cl_report_part(const char *name, size_t length) {
    (void)name;
    (void)length;
    return (cl_asset){0};
}
#endif
