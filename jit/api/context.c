/*
 * jit/api/context.c - the context: what jitc/context.h and jitc/op.h promise.
 */
#define _DEFAULT_SOURCE /* getentropy */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codegen_id.h"
#include "base/library.h"
#include "jit/api/model.h"
#include "jit/api/read_cache.h"

typedef struct jc_thread_error {
    jc_error record;
    char text[1600];
    struct jc_thread_error *next;
} jc_thread_error;

const char *jitc_version(void) {
    return JITC_VERSION;
}

const char *jitc_build_id(void) {
    return JITC_VERSION " " JC_CODEGEN_ID " LLVM " JC_LLVM_VERSION;
}

/* --- errors: one record per thread and context --- */

/* Of a thread for whose record there was no memory. */
static const jc_thread_error no_memory = {
    .record = { .status = JITC_E_NOMEM, .message = "out of memory, so that what went wrong cannot be said" },
    .text = "out of memory, so that what went wrong cannot be said",
};

/* NULL: there is no memory for one. */
static jc_thread_error *own_record(jitc_context *ctx) {
    jc_thread_error *e = pthread_getspecific(ctx->error_key);
    if (e && e != &no_memory)
        return e;
    e = ctx->alloc.alloc(ctx->alloc.user, sizeof *e);
    if (!e)
        return NULL;
    memset(e, 0, sizeof *e);
    pthread_mutex_lock(&ctx->lock);
    e->next = ctx->errors;
    ctx->errors = e;
    pthread_mutex_unlock(&ctx->lock);
    pthread_setspecific(ctx->error_key, e);
    return e;
}

jitc_status jc_context_done(jitc_context *ctx, jitc_status status, jc_error *err) {
    if (status == JITC_OK)
        return JITC_OK;
    if (err->status == JITC_OK)
        jc_fail(err, status, "%s", jitc_status_text(status));
    jc_thread_error *e = own_record(ctx);
    if (e) {
        e->record = *err;
        jc_error_text(&e->record, e->text, sizeof e->text);
    } else {
        pthread_setspecific(ctx->error_key, &no_memory);
    }
    return status;
}

/* NAMES is the text of the list: "graphs, out". */
bool jc_all_given(jitc_context *ctx, const char *function, const char *names, const void *const *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t length = strcspn(names, ",");
        if (!at[i]) {
            jc_error err = JC_ERROR_INIT;
            jc_fail(&err, JITC_E_USAGE, "%s: `%.*s` is NULL", function, (int)length, names);
            if (ctx)
                jc_context_done(ctx, JITC_E_USAGE, &err);
            return false;
        }
        names += length;
        names += strspn(names, ", ");
    }
    return true;
}

const char *jitc_context_error(jitc_context *ctx) {
    if (!ctx)
        return "";
    const jc_thread_error *e = pthread_getspecific(ctx->error_key);
    return e ? e->text : "";
}

void jitc_context_error_info(jitc_context *ctx, jitc_error_info *out) {
    static const jc_error none = JC_ERROR_INIT;
    if (!out)
        return;
    const jc_thread_error *e = ctx ? pthread_getspecific(ctx->error_key) : NULL;
    const jc_error *r = e ? &e->record : &none;
    jitc_error_info info = { out->struct_size, r->status, r->message, r->file, r->line, r->column, r->node };
    memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
}

/* --- making and freeing --- */

void jc_give_struct(void *out, const void *from, size_t size) {
    size_t given;
    memcpy(&given, out, sizeof given);
    memcpy(out, from, given < size ? given : size);
    memcpy(out, &given, given < sizeof given ? given : sizeof given);
}

jitc_status jc_take_options(void *out, size_t size, const void *options, const char *name, jc_error *err) {
    size_t given = size;
    if (!options)
        return JITC_OK;
    memcpy(&given, options, sizeof given);
    if (given < sizeof given || given > 4096)
        return jc_fail(err, JITC_E_USAGE, "%s.struct_size is %zu: set it to sizeof(%s)", name, given, name);
    memcpy(out, options, given < size ? given : size);
    return JITC_OK;
}

static const char *cache_dir(const char *wish, char *out, size_t size) {
    const char *env;
    if (wish)
        return wish;
    if ((env = jc_library_env("JITC_CACHE_DIR")))
        return env;
    if ((env = jc_library_env("XDG_CACHE_HOME")) && *env == '/')
        snprintf(out, size, "%s/jitc", env);
    else if ((env = jc_library_env("HOME")) && *env == '/')
        snprintf(out, size, "%s/.cache/jitc", env);
    else
        return "";
    return out;
}

/* A whole number in the environment; OTHERWISE where there is none, and where there is rubbish, which is told. */
static uint64_t number_in(jitc_context *ctx, const char *name, uint64_t otherwise) {
    const char *text = jc_library_env(name);
    char *end = NULL;
    if (!text)
        return otherwise;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && errno == 0)
        return n;
    jc_log_line(&ctx->log, "warning: %s=%s is not a whole number and is ignored", name, text);
    return otherwise;
}

/* What the environment says about keeping. */
static void set_cache(jitc_context *ctx) {
    jc_cache_settings s = JC_CACHE_DEFAULTS;
    uint64_t seconds = number_in(ctx, "JITC_CACHE_WAIT", s.wait_ms / 1000);
    s.wait_ms = seconds > 86400 ? 86400000 : (unsigned)seconds * 1000;
    s.paranoid = number_in(ctx, "JITC_CACHE_PARANOID", 0) != 0;
    s.max_bytes = number_in(ctx, "JITC_CACHE_MAX_BYTES", s.max_bytes);
    s.max_entries = number_in(ctx, "JITC_CACHE_MAX_ENTRIES", s.max_entries);
    jc_cache_set(ctx->cache, &s);
}

static jc_isolate isolation(jitc_context *ctx, const jitc_context_options *o) {
    const char *cache = jc_cache_dir(ctx->cache), *temporary = jc_library_env("TMPDIR");
    return (jc_isolate){
        .on = o->isolate,
        .seconds = o->isolate_seconds ? o->isolate_seconds : JC_ISOLATE_SECONDS,
        .bytes = o->isolate_bytes ? o->isolate_bytes : JC_ISOLATE_BYTES,
        .reports = cache ? jc_arena_printf(ctx->arena, "%s/failed", cache) : jc_arena_strdup(ctx->arena, temporary ? temporary : "/tmp"),
    };
}

/* A directory whose key cannot be had is not used: without it anybody's entries would be.  Nor is any that is only read: nobody has a key made up here. */
static jitc_status open_cache(jitc_context *ctx, const char *dir, jc_error *err) {
    const char *path = jc_library_env("JITC_CACHE_KEY");
    jc_mac_key mac;
    jc_error why = JC_ERROR_INIT;
    if (path && jc_mac_key_read(path, &mac, &why) != JITC_OK) {
        jc_log_line(&ctx->log, "warning: %s; compiled code is kept in memory alone", why.message);
        dir = "";
        if (getentropy(mac.b, sizeof mac.b) != 0)
            return jc_fail(err, JITC_E_IO, "there are no random numbers: %s", strerror(errno));
    }
    return jc_cache_open_keyed(dir, path ? &mac : NULL, &ctx->alloc, &ctx->log, &ctx->cache, err);
}

static jitc_status open_parts(jitc_context *ctx, const jitc_context_options *o, jc_error *err) {
    char dir[4096];
    ctx->names = jc_names_new(ctx->arena);
    if (!ctx->names)
        return JITC_E_NOMEM;
    ctx->ops = jc_ops_new(ctx->arena);
    jc_ops_set_names(ctx->ops, ctx->names);
    JC_TRY(jc_debug_parse(o->debug, &ctx->log.debug, err));
    ctx->device_name = o->device ? jc_arena_strdup(ctx->arena, o->device) : NULL;
    ctx->threads = o->threads;
    ctx->device_options = (jc_device_options){ .threads = o->threads, .sim_seed = o->seed };
    JC_TRY(open_cache(ctx, cache_dir(o->cache_dir, dir, sizeof dir), err));
    if (jc_cache_warning(ctx->cache))
        jc_log_line(&ctx->log, "warning: %s; compiled code is kept in memory alone", jc_cache_warning(ctx->cache));
    set_cache(ctx);
    jc_service_options s = { .threads = o->threads, .alloc = &ctx->alloc, .log = &ctx->log, .isolate = isolation(ctx, o) };
    JC_TRY(jc_service_new(ctx->cache, &s, &ctx->service, err));
    JC_TRY(jc_trust_open(ctx->arena, o, &ctx->trust, err));
    if (o->nread_caches && !o->read_caches)
        return jc_fail(err, JITC_E_USAGE, "jitc_context_options.read_caches is NULL, but there are to be %u", o->nread_caches);
    for (uint32_t i = 0; i < o->nread_caches; i++)
        JC_TRY(jc_read_cache_add(ctx, o->read_caches[i], true, err));
    return JITC_OK;
}

jitc_status jitc_context_new(const jitc_context_options *options, jitc_context **out) {
    jitc_context_options o = { 0 };
    jc_alloc alloc = jc_alloc_libc;
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    JC_NEED(NULL, out);
    jitc_status status = jc_take_options(&o, sizeof o, options, "jitc_context_options", &err);
    if (status == JITC_OK && !o.alloc != !o.free)
        status = jc_fail(&err, JITC_E_USAGE, "jitc_context_options has an alloc without a free, or the other way round");
    if (status == JITC_OK && o.alloc)
        alloc = (jc_alloc){ o.alloc, o.free, o.alloc_user };
    *out = NULL;
    jitc_context *ctx = alloc.alloc(alloc.user, sizeof *ctx);
    if (!ctx)
        return JITC_E_NOMEM;
    memset(ctx, 0, sizeof *ctx);
    ctx->alloc = alloc;
    ctx->log = (jc_log){ o.log, o.log_user, 0 };
    ctx->arena = jc_arena_new(&ctx->alloc);
    if (!ctx->arena || pthread_key_create(&ctx->error_key, NULL) != 0) {
        jc_arena_free(ctx->arena);
        alloc.free(alloc.user, ctx, sizeof *ctx);
        return JITC_E_NOMEM;
    }
    pthread_mutex_init(&ctx->lock, NULL);
    *out = ctx;
    if (status == JITC_OK) {
        status = JC_GUARD(ctx->arena, &guard) ? JITC_E_NOMEM : open_parts(ctx, &o, &err);
        jc_guard_end(ctx->arena, &guard);
    }
    return jc_context_done(ctx, status, &err);
}

void jitc_context_free(jitc_context *ctx) {
    if (!ctx)
        return;
    while (ctx->bundles)
        jitc_bundle_close(ctx->bundles);
    while (ctx->models)
        jitc_model_free(ctx->models);
    while (ctx->graphs)
        jitc_graph_free(ctx->graphs);
    jc_service_free(ctx->service);
    jc_cache_close(ctx->cache);
    jc_device_close(ctx->device);
    for (size_t i = ctx->plugins.n; i-- > 0;)
        jc_plugin_close(&ctx->plugins.at[i]);
    for (jc_thread_error *e = ctx->errors, *next; e; e = next) {
        next = e->next;
        ctx->alloc.free(ctx->alloc.user, e, sizeof *e);
    }
    pthread_key_delete(ctx->error_key);
    pthread_mutex_destroy(&ctx->lock);
    jc_arena_free(ctx->arena);
    jc_alloc alloc = ctx->alloc;
    alloc.free(alloc.user, ctx, sizeof *ctx);
}

/* --- device --- */

jitc_status jc_context_device(jitc_context *ctx, jc_device **out, jc_error *err) {
    jitc_status status = JITC_OK;
    pthread_mutex_lock(&ctx->lock);
    if (!ctx->device && ctx->device_name) {
        status = jc_device_open(ctx->device_name, &ctx->device_options, &ctx->alloc, &ctx->log, &ctx->device, err);
    } else if (!ctx->device) {
        jc_error none = JC_ERROR_INIT;
        status = jc_device_open("cuda", &ctx->device_options, &ctx->alloc, &ctx->log, &ctx->device, &none);
        if (status != JITC_OK)
            status = jc_device_open("host", &ctx->device_options, &ctx->alloc, &ctx->log, &ctx->device, err);
    }
    *out = ctx->device;
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

/* --- operators and names --- */

static jitc_status add_op(jitc_context *ctx, const char *schema, jitc_plain_function plain, jitc_frame_function frame,
                          const jitc_op_options *options) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    JC_NEED(ctx, ctx, schema);
    if (!plain && !frame)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "The function of %s is NULL.", schema), &err);
    jitc_status status = JC_GUARD(ctx->arena, &guard)
                             ? JITC_E_NOMEM
                             : jc_ops_register(ctx->ops, schema, plain, frame, options, &err);
    jc_guard_end(ctx->arena, &guard);
    return jc_context_done(ctx, status, &err);
}

jitc_status jitc_op_register(jitc_context *ctx, const char *schema, jitc_plain_function function,
                             const jitc_op_options *options) {
    return add_op(ctx, schema, function, NULL, options);
}

jitc_status jitc_op_register_frame(jitc_context *ctx, const char *schema, jitc_frame_function function,
                                   const jitc_op_options *options) {
    return add_op(ctx, schema, NULL, function, options);
}

const jitc_layer_name *jitc_layer_name_intern(jitc_context *ctx, const char *text, void *user) {
    return ctx && text ? jc_name_intern(ctx->names, text, user) : NULL;
}

const char *jitc_layer_name_text(const jitc_layer_name *name) {
    return name ? jc_name_text(name) : "";
}

void *jitc_layer_name_user(const jitc_layer_name *name) {
    return name ? jc_name_user(name) : NULL;
}

jitc_status jitc_plugin_load(jitc_context *ctx, const char *path) {
    static const jitc_plugin_api api = {
        .struct_size = sizeof api,
        .abi = JITC_PLUGIN_ABI,
        .op_register = jitc_op_register,
        .op_register_frame = jitc_op_register_frame,
        .layer_name_text = jitc_layer_name_text,
        .layer_name_user = jitc_layer_name_user,
    };
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    jc_plugin plugin;
    JC_NEED(ctx, ctx, path);
    jc_thread_error *said = own_record(ctx);
    if (said)
        said->record.status = JITC_OK;
    jitc_status status = jc_plugin_open(path, ctx->trust.files, ctx, &api, &plugin, &err);
    if (status != JITC_OK && plugin.handle && said && said->record.status == status) { /* what went wrong within says more */
        err = (jc_error)JC_ERROR_INIT;
        jc_fail(&err, status, "Plugin %s failed to register its operators: %.800s", path, said->record.message);
    }
    if (plugin.handle) {
        if (JC_GUARD(ctx->arena, &guard)) {
            jc_plugin_close(&plugin);
            status = JITC_E_NOMEM;
        } else {
            jc_push(ctx->arena, &ctx->plugins, plugin);
        }
        jc_guard_end(ctx->arena, &guard);
    }
    return jc_context_done(ctx, status, &err);
}
