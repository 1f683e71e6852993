/*
 * ir/pt2/pt2.c - the archive as a whole: which entries there are, versions, and from JSON to a graph with its weights.
 */
#include <string.h>
#include "ir/pt2/pt2_priv.h"

#define SCHEMA_MAJOR 8
#define JSON_BYTES_MAX ((uint64_t)512 << 20)

typedef struct archive {
    jc_zip zip;
    const char *model;  /* name of the program: "model" */
    json_t *program, *weights, *constants;
} archive;

static void drop_json(void *holder) {
    json_decref(*(json_t **)holder);
}

bool jc_pt2_is(const void *bytes, size_t n) {
    return n >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

/* --- entries --- */

static jitc_status load(const jc_zip *z, const jc_zip_entry *e, json_t **out, jc_error *err) {
    json_error_t where;
    char *text;
    json_t **holder = JC_NEW(z->arena, json_t *);
    jc_arena_defer(z->arena, drop_json, holder);
    JC_TRY(jc_zip_read(z, e, JSON_BYTES_MAX, &text, err));
    *out = *holder = json_loadb(text, (size_t)e->size, JSON_REJECT_DUPLICATES, &where);
    if (!*out)
        return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The entry \"%.200s\" is no valid JSON: %s (line %d).", e->name,
                          where.text, where.line);
    return JITC_OK;
}

/* There need not be one. */
static jitc_status load_named(const archive *a, const char *format, json_t **out, jc_error *err) {
    char *name = jc_arena_printf(a->zip.arena, "data/%s/%s_%s_config.json", format, a->model, format);
    const jc_zip_entry *e = jc_zip_find(&a->zip, name);
    return e ? load(&a->zip, e, out, err) : JITC_OK;
}

static jitc_status check_word(const jc_zip *z, const char *name, const char *want, jc_error *err) {
    const jc_zip_entry *e = jc_zip_find(z, name);
    char *text;
    if (!e)
        return JITC_OK;
    JC_TRY(jc_zip_read(z, e, 64, &text, err));
    text[strcspn(text, "\n")] = 0;
    return strcmp(text, want) == 0 ? JITC_OK
                                   : jc_fail_at(err, JITC_E_UNSUPPORTED, z->file, 0, 0, NULL,
                                                "The archive's %s is \"%.40s\"; only \"%s\" is read.", name, text, want);
}

/* What older versions of PyTorch wrote holds its weights as pickles. */
static jitc_status check_kind(const jc_zip *z, jc_error *err) {
    static const char *const old[] = { "serialized_state_dict.pt", "serialized_exported_program.json", "data.pkl" };
    if (jc_zip_find(z, "archive_format"))
        return JITC_OK;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (jc_zip_find(z, old[i]))
            return jc_fail_at(err, JITC_E_UNSUPPORTED, z->file, 0, 0, NULL,
                              "The archive holds \"%s\", as older versions of PyTorch wrote it, with pickled weights, which are programs and "
                              "are not run; save the model with torch.export.save() of torch 2.9 or newer.", old[i]);
    return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The file is a zip archive, but not one of torch.export.save().");
}

/* The one program, or of several the one called "model". */
static jitc_status find_model(archive *a, const jc_zip_entry **out, jc_error *err) {
    static const char folder[] = "models/", ending[] = ".json";
    const size_t nfolder = sizeof folder - 1, nending = sizeof ending - 1;
    const jc_zip_entry *only = NULL;
    unsigned n = 0;
    for (uint32_t i = 0; i < a->zip.n; i++) {
        const char *name = a->zip.at[i].name;
        const size_t length = strlen(name);
        if (length <= nfolder + nending || memcmp(name, folder, nfolder) != 0 || strcmp(name + length - nending, ending) != 0)
            continue;
        only = &a->zip.at[i];
        n++;
    }
    const jc_zip_entry *named = jc_zip_find(&a->zip, "models/model.json");
    *out = n == 1 ? only : named;
    if (!*out)
        return jc_fail_at(err, n ? JITC_E_UNSUPPORTED : JITC_E_INPUT, a->zip.file, 0, 0, NULL,
                          n ? "The archive holds %u programs and none is called \"model\"." : "The archive holds %u programs.", n);
    a->model = jc_arena_strndup(a->zip.arena, (*out)->name + nfolder, strlen((*out)->name) - nfolder - nending);
    return JITC_OK;
}

static jitc_status check_schema(const archive *a, jc_error *err) {
    const json_t *version = json_object_get(a->program, "schema_version");
    const json_int_t major = json_integer_value(json_object_get(version, "major"));
    const json_int_t minor = json_integer_value(json_object_get(version, "minor"));
    const char *torch = json_string_value(json_object_get(a->program, "torch_version"));
    if (major == SCHEMA_MAJOR)
        return JITC_OK;
    return jc_fail_at(err, JITC_E_UNSUPPORTED, a->zip.file, 0, 0, NULL,
                      "The program is written in version %lld.%lld of torch.export's schema, by torch %.40s; version %d is read.",
                      (long long)major, (long long)minor, torch ? torch : "(unknown)", SCHEMA_MAJOR);
}

static jitc_status open_archive(archive *a, jc_arena *scratch, const char *file, const jc_source *src, jc_error *err) {
    const jc_zip_entry *model;
    JC_TRY(jc_zip_open(scratch, file, src, &a->zip, err));
    JC_TRY(check_kind(&a->zip, err));
    JC_TRY(check_word(&a->zip, "archive_format", "pt2", err));
    JC_TRY(check_word(&a->zip, "archive_version", "0", err));
    JC_TRY(check_word(&a->zip, "byteorder", "little", err));
    JC_TRY(find_model(a, &model, err));
    JC_TRY(load(&a->zip, model, &a->program, err));
    JC_TRY(check_schema(a, err));
    JC_TRY(load_named(a, "weights", &a->weights, err));
    return load_named(a, "constants", &a->constants, err);
}

/* --- the whole --- */

static void read_program(fx_reader *r, void *program) {
    pt2 p = { .r = r, .model = program, .scope = "" };
    fx_without_text(r);
    pt2_build(&p);
    pt2_guards(&p);
}

static jitc_status read_all(jc_arena *arena, jc_arena *scratch, const char *file, const jc_source *src, bool tolerant, jc_graph **out,
                            jc_error *err) {
    archive a = { 0 };
    JC_TRY(open_archive(&a, scratch, file, src, err));
    JC_TRY(fx_read(arena, file, tolerant, read_program, a.program, out, err));
    return pt2_weights(*out, a.program, &a.zip, a.weights, a.constants, err);
}

jitc_status jc_pt2_read(jc_arena *arena, const char *file, const jc_source *src, bool tolerant, jc_graph **out, jc_error *err) {
    jc_arena *volatile scratch = jc_arena_new(jc_arena_allocator(arena));
    volatile jitc_status status = JITC_E_NOMEM;
    jc_guard outer, inner;
    if (scratch && !JC_GUARD(arena, &outer) && !JC_GUARD(scratch, &inner))
        status = read_all(arena, scratch, file, src, tolerant, out, err);
    if (scratch) {
        jc_guard_end(scratch, &inner);
        jc_guard_end(arena, &outer);
    }
    jc_arena_free(scratch);
    if (status == JITC_E_NOMEM)
        jc_fail(err, JITC_E_NOMEM, "There was not enough memory to read %s.", file);
    return status;
}
