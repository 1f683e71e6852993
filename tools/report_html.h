/*
 * tools/report_html.h - the page of `--report DIR`, between its parts.
 */
#ifndef JC_TOOL_REPORT_HTML_H
#define JC_TOOL_REPORT_HTML_H

#include "tools/tool.h"

typedef struct page {
    tool *t;
    jc_bytes out;
    jitc_model *const *models; /* one per arch, of the same graphs: the first one's pieces and classes are everyone's */
    const char *const *archs;  /* NULL: the model was split only */
    uint32_t n;
    tool_neighbour *near;      /* by class */
} page;

/* Markup as it is: the only way that '<' gets onto the page. */
void page_raw(page *p, const char *format, ...) JC_PRINTF(2, 3);
/* Text: escaped, and what is no UTF-8 or a control character replaced. */
void page_text(page *p, const char *text, size_t n);
void page_str(page *p, const char *text);
/* A cell of a table; page_text() for what came from outside, so FORMAT's result is escaped as well. */
void page_cell(page *p, const char *format, ...) JC_PRINTF(2, 3);
/* A link to a class, in its colour. */
void page_class(page *p, uint32_t cls);

/* report_parts.c */
void page_classes(page *p);
void page_differences(page *p);
void page_members(page *p);
void page_times(page *p);
jitc_status page_stages(page *p, jc_error *err);

#endif
