/*
 * tools/report_html.c - `--report DIR`: one offline file, DIR/index.html.
 *
 * No script, no font, no picture, nothing from elsewhere: the page's own policy forbids it.  What comes from the graphs goes through
 * page_text().
 */
#include "tools/report_html.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>jitc report</title>\n<style>\n"
    ":root { color-scheme: light dark; }\n"
    "body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }\n"
    "h2 { margin-top: 2em; border-bottom: 1px solid #8888; }\n"
    "table { border-collapse: collapse; margin: .5em 0; }\n"
    "th, td { text-align: left; padding: .2em .8em; border-bottom: 1px solid #8884; vertical-align: top; }\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }\n"
    "code, pre { font: 13px/1.4 ui-monospace, monospace; }\n"
    "pre { overflow-x: auto; background: #8881; padding: .7em; margin: .3em 0; }\n"
    "a.class { color: #000; text-decoration: none; padding: .1em .5em; border-radius: .3em; white-space: nowrap; }\n"
    ".hit { color: #080; } .miss { color: #b60; }\n"
    "@media (prefers-color-scheme: dark) { .hit { color: #6d6; } .miss { color: #fb5; } }\n"
    "details { margin: .2em 0 .2em 1em; } summary { cursor: pointer; }\n"
    ".bar { display: inline-block; height: .8em; background: #69c; }\n"
    "</style>\n</head>\n<body>\n";

/* --- writing --- */

void page_raw(page *p, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = jc_arena_vprintf(p->t->arena, format, list);
    va_end(list);
    jc_put(&p->out, text, strlen(text));
}

/* The length of the UTF-8 character at AT; 0: there is none. */
static size_t utf8(const unsigned char *at, size_t n) {
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                    : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0; /* overlong, a surrogate, or too large */
    return length;
}

static const char *entity(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? "&#xFFFD;" : NULL;
    }
}

void page_text(page *p, const char *text, size_t n) {
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t length = utf8(at + i, n - i);
        const char *other = length ? entity(at[i]) : "&#xFFFD;";
        if (other)
            jc_put(&p->out, other, strlen(other));
        else
            jc_put(&p->out, at + i, length);
        i += length ? length : 1;
    }
}

void page_str(page *p, const char *text) {
    page_text(p, text, strlen(text));
}

void page_cell(page *p, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = jc_arena_vprintf(p->t->arena, format, list);
    va_end(list);
    page_raw(p, "<td class=\"n\">");
    page_str(p, text);
    page_raw(p, "</td>");
}

void page_class(page *p, uint32_t cls) {
    char colour[8];
    page_raw(p, "<a class=\"class\" href=\"#class%u\" style=\"background:%s\">class %u</a>", cls,
             tool_class_colour(cls, colour), cls);
}

/* --- the page --- */

static void summary(page *p) {
    const jitc_model *m = p->models[0];
    page_raw(p, "<h1>%u piece%s, %u class%s</h1>\n<p>", m->npieces, m->npieces == 1 ? "" : "s", m->nclasses,
             m->nclasses == 1 ? "" : "es");
    for (uint32_t i = 0; i < m->ngraphs; i++) {
        page_raw(p, "%s<code>", i ? ", " : "");
        page_str(p, m->graphs[i]->g->file);
        page_raw(p, "</code>");
    }
    page_raw(p, "<br>jitc %s", jitc_version());
    for (uint32_t i = 0; i < p->n && p->archs; i++) {
        page_raw(p, i ? ", " : ", for ");
        page_str(p, p->archs[i]);
    }
    page_raw(p, "</p>\n<p><a href=\"#classes\">Classes</a> &middot; <a href=\"#differences\">Differences</a> &middot; "
             "<a href=\"#members\">Members</a> &middot; <a href=\"#times\">Times</a> &middot; "
             "<a href=\"#stages\">Stages</a></p>\n");
}

static jitc_status write_page(page *p, jc_error *err) {
    JC_TRY(tool_neighbours(p->t, p->models[0], &p->near, err));
    page_raw(p, "%s", head);
    summary(p);
    page_classes(p);
    page_differences(p);
    page_members(p);
    page_times(p);
    JC_TRY(page_stages(p, err));
    page_raw(p, "</body>\n</html>\n");
    return JITC_OK;
}

/* mkdir -p */
static jitc_status make_directory(tool *t, const char *path, jc_error *err) {
    char *part = jc_arena_strdup(t->arena, path);
    for (char *slash = part + 1; *part && (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        (void)mkdir(part, 0777); /* the last one says what is wrong */
        *slash = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the directory for the report cannot be made: %s", strerror(errno));
    return JITC_OK;
}

int tool_report(tool *t, jitc_model *const *models, const char *const *archs, uint32_t n) {
    jc_error err = JC_ERROR_INIT;
    page p = { .t = t, .out = JC_BYTES(t->arena), .models = models, .archs = archs, .n = n };
    if (!t->o.report)
        return 0;
    TOOL_TRY(t, &err, make_directory(t, t->o.report, &err));
    TOOL_TRY(t, &err, write_page(&p, &err));
    TOOL_TRY(t, &err, tool_write(jc_arena_printf(t->arena, "%s/index.html", t->o.report), p.out.at, p.out.n, &err));
    return 0;
}
