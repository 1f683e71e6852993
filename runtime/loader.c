/*
 * runtime/loader.c - relocatable x86-64 ELF objects into memory.
 *
 * One anonymous mapping holds three groups of sections, each on pages of its own:
 *
 *   text     executable sections, then stubs for calls that leave the object   read and execute
 *   rodata   sections that are neither written nor executed, then the GOT      read
 *   data     writable sections, .bss among them                                read and write
 *
 * It is written while it is readable and writable, and gets its final protection before anything can run.  A
 * stub is `jmp *slot(%rip)` through a GOT slot, since the C library may be further away than a 32-bit displacement
 * reaches.  Unwind tables and notes are left out.
 *
 * Reference: System V ABI, AMD64 supplement, "Relocation".  Names, offsets and counts come from bytes that may be
 * hostile: every field is copied out of the bounds-checked range it lies in, and what is not understood is refused.
 */
#include "runtime/loader_priv.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)1 << 28) /* of a mapping: far more than any kernel, and well within 32-bit displacements */
#define MAX_ALIGN 4096u
#define STUB_SIZE 8u
#define SLOT_SIZE 8u

enum { TEXT, RODATA, DATA, GROUPS };

typedef struct export {
    const char *name; /* in the block */
    void *address;
} export;

struct jc_loaded {
    const jc_alloc *alloc;
    uint8_t *map;
    size_t mapped;
    uint32_t nexports;
    export *exports;
    size_t block; /* bytes of this structure with what follows it */
};

/* One section of the file. */
typedef struct section {
    Elf64_Shdr h;
    size_t at;   /* in its group; only when loaded */
    uint8_t group;
    bool loaded;
} section;

/* What a symbol needs besides its address, and where it has it. */
typedef struct symbol {
    Elf64_Sym s;
    uint32_t slot, stub; /* 1-based numbers; 0: none */
} symbol;

typedef struct object {
    const uint8_t *bytes;
    size_t n;
    const jc_loader_symbol *extra;
    uint32_t nextra;
    const jc_alloc *alloc;
    jc_error *err;

    uint32_t nsections, nsymbols;
    section *sections;
    symbol *symbols;
    const char *strings;
    size_t nstrings;

    uint32_t nslots, nstubs;
    size_t size[GROUPS], base[GROUPS]; /* bytes, and place in the mapping */
    size_t stubs_at, slots_at;         /* place in the mapping */
    uint8_t *map;
    size_t mapped;
} object;

#define BAD(o, ...) jc_fail((o)->err, JITC_E_INPUT, __VA_ARGS__)

/* COUNT elements of SIZE, zeroed; NULL when memory is out. */
static void *take(const jc_alloc *a, size_t count, size_t size) {
    void *block = a->alloc(a->user, count * size + 1);
    if (block)
        memset(block, 0, count * size + 1);
    return block;
}

static void give(const jc_alloc *a, void *block, size_t count, size_t size) {
    if (block)
        a->free(a->user, block, count * size + 1);
}

/* ---- reading the file ----------------------------------------------------------------------------------------- */

static bool inside(const object *o, uint64_t at, uint64_t size) {
    return at <= o->n && size <= o->n - at;
}

static jitc_status read_header(object *o, Elf64_Ehdr *h) {
    if (o->n < sizeof *h)
        return BAD(o, "An object of %zu bytes is shorter than its header.", o->n);
    memcpy(h, o->bytes, sizeof *h);
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL || h->e_machine != EM_X86_64)
        return BAD(o, "The object is no relocatable ELF file for x86-64.");
    if (h->e_shentsize != sizeof(Elf64_Shdr) || !h->e_shnum || h->e_shnum >= SHN_LORESERVE ||
        !inside(o, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
        return BAD(o, "The object's table of sections lies outside of its %zu bytes.", o->n);
    return JITC_OK;
}

static bool is_name(const object *o, const Elf64_Shdr *names, uint32_t at, const char *want) {
    size_t length = strlen(want) + 1;
    return at < names->sh_size && length <= names->sh_size - at &&
           memcmp(o->bytes + names->sh_offset + at, want, length) == 0;
}

/* Into which group a section goes; marks those that are not loaded. */
static jitc_status sort_section(object *o, uint32_t i, const Elf64_Shdr *names) {
    section *s = &o->sections[i];
    const Elf64_Shdr *h = &s->h;
    bool unwind = h->sh_type == SHT_X86_64_UNWIND || (names && is_name(o, names, h->sh_name, ".eh_frame"));
    if (!(h->sh_flags & SHF_ALLOC) || h->sh_type == SHT_NOTE || unwind)
        return JITC_OK;
    if (h->sh_type != SHT_PROGBITS && h->sh_type != SHT_NOBITS)
        return BAD(o, "Section %u of the object is of type %u, which cannot be loaded.", i, h->sh_type);
    if (h->sh_flags & (SHF_TLS | SHF_COMPRESSED))
        return BAD(o, "Section %u of the object is thread-local or compressed, which cannot be loaded.", i);
    if ((h->sh_flags & SHF_WRITE) && (h->sh_flags & SHF_EXECINSTR))
        return BAD(o, "Section %u of the object is writable and executable at once.", i);
    uint64_t align = h->sh_addralign ? h->sh_addralign : 1;
    if ((align & (align - 1)) || align > MAX_ALIGN || h->sh_size > MAX_BYTES)
        return BAD(o, "Section %u of the object has an impossible size or alignment.", i);
    s->group = h->sh_flags & SHF_EXECINSTR ? TEXT : h->sh_flags & SHF_WRITE ? DATA : RODATA;
    s->loaded = true;
    size_t at = (o->size[s->group] + align - 1) & ~(align - 1);
    if (at + h->sh_size > MAX_BYTES)
        return BAD(o, "The object's sections take more than %zu bytes.", MAX_BYTES);
    s->at = at;
    o->size[s->group] = at + h->sh_size;
    return JITC_OK;
}

static jitc_status read_sections(object *o) {
    Elf64_Ehdr h;
    JC_TRY(read_header(o, &h));
    o->sections = take(o->alloc, h.e_shnum, sizeof(section));
    if (!o->sections)
        return jc_fail(o->err, JITC_E_NOMEM, "There is no memory for an object's %u sections.", h.e_shnum);
    o->nsections = h.e_shnum;
    for (uint32_t i = 0; i < o->nsections; i++) {
        Elf64_Shdr *s = &o->sections[i].h;
        memcpy(s, o->bytes + h.e_shoff + (uint64_t)i * sizeof *s, sizeof *s);
        if (s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS && !inside(o, s->sh_offset, s->sh_size))
            return BAD(o, "Section %u of the object lies outside of its %zu bytes.", i, o->n);
    }
    const Elf64_Shdr *names = NULL;
    if (h.e_shstrndx < o->nsections && o->sections[h.e_shstrndx].h.sh_type == SHT_STRTAB)
        names = &o->sections[h.e_shstrndx].h;
    for (uint32_t i = 0; i < o->nsections; i++)
        JC_TRY(sort_section(o, i, names));
    return JITC_OK;
}

static jitc_status read_symbols(object *o) {
    const Elf64_Shdr *table = NULL;
    for (uint32_t i = 0; i < o->nsections; i++) {
        if (o->sections[i].h.sh_type != SHT_SYMTAB)
            continue;
        if (table)
            return BAD(o, "The object has two tables of symbols.");
        table = &o->sections[i].h;
    }
    if (!table)
        return BAD(o, "The object has no table of symbols.");
    if (table->sh_entsize != sizeof(Elf64_Sym) || table->sh_size % sizeof(Elf64_Sym) ||
        table->sh_link >= o->nsections || o->sections[table->sh_link].h.sh_type != SHT_STRTAB)
        return BAD(o, "The object's table of symbols is malformed.");
    const Elf64_Shdr *strings = &o->sections[table->sh_link].h;
    o->strings = (const char *)o->bytes + strings->sh_offset;
    o->nstrings = strings->sh_size;
    if (!o->nstrings || o->strings[o->nstrings - 1])
        return BAD(o, "The object's symbol names do not end.");
    uint32_t n = (uint32_t)(table->sh_size / sizeof(Elf64_Sym));
    o->symbols = take(o->alloc, n, sizeof(symbol));
    if (!o->symbols)
        return jc_fail(o->err, JITC_E_NOMEM, "There is no memory for an object's %u symbols.", n);
    o->nsymbols = n;
    for (uint32_t i = 0; i < n; i++) {
        Elf64_Sym *s = &o->symbols[i].s;
        memcpy(s, o->bytes + table->sh_offset + (uint64_t)i * sizeof *s, sizeof *s);
        if (s->st_name >= o->nstrings)
            return BAD(o, "Symbol %u of the object has no name.", i);
    }
    return JITC_OK;
}

/* ---- relocations ---------------------------------------------------------------------------------------------- */

/* What to do with a relocation. */
typedef enum how { H_NONE, H_ABSOLUTE, H_BRANCH, H_GOT } how;
static const struct kind {
    uint8_t how, size;
    bool is_signed; /* what the field holds */
} kinds[] = {
    [R_X86_64_NONE] = { H_NONE, 0, false },
    [R_X86_64_64] = { H_ABSOLUTE, 8, false },
    [R_X86_64_32] = { H_ABSOLUTE, 4, false },
    [R_X86_64_32S] = { H_ABSOLUTE, 4, true },
    [R_X86_64_PC32] = { H_BRANCH, 4, true },
    [R_X86_64_PLT32] = { H_BRANCH, 4, true },
    [R_X86_64_GOTPCREL] = { H_GOT, 4, true },
    [R_X86_64_GOTPCRELX] = { H_GOT, 4, true },
    [R_X86_64_REX_GOTPCRELX] = { H_GOT, 4, true },
};

static const struct kind *kind_of(uint32_t type) {
    if (type >= sizeof kinds / sizeof *kinds || (!kinds[type].size && type != R_X86_64_NONE))
        return NULL;
    return &kinds[type];
}

/* Runs SEE for every relocation of a loaded section. */
static jitc_status each_relocation(object *o, jitc_status (*see)(object *, const section *, const Elf64_Rela *,
                                                                 const struct kind *)) {
    for (uint32_t i = 0; i < o->nsections; i++) {
        const Elf64_Shdr *h = &o->sections[i].h;
        if (h->sh_type != SHT_RELA && h->sh_type != SHT_REL)
            continue;
        if (h->sh_info >= o->nsections)
            return BAD(o, "Relocation section %u of the object is for section %u, which does not exist.", i,
                       h->sh_info);
        const section *target = &o->sections[h->sh_info];
        if (!target->loaded)
            continue;
        if (h->sh_type == SHT_REL || h->sh_entsize != sizeof(Elf64_Rela) || h->sh_size % sizeof(Elf64_Rela))
            return BAD(o, "Relocation section %u of the object is malformed.", i);
        for (uint64_t at = 0; at < h->sh_size; at += sizeof(Elf64_Rela)) {
            Elf64_Rela r;
            memcpy(&r, o->bytes + h->sh_offset + at, sizeof r);
            const struct kind *kind = kind_of((uint32_t)ELF64_R_TYPE(r.r_info));
            if (!kind)
                return BAD(o, "The object holds a relocation of type %u, which libjitc does not load.",
                           (unsigned)ELF64_R_TYPE(r.r_info));
            if (kind->how != H_NONE)
                JC_TRY(see(o, target, &r, kind));
        }
    }
    return JITC_OK;
}

static bool is_external(const symbol *s) {
    return s->s.st_shndx == SHN_UNDEF;
}

/* First walk: what lies within its section, and which symbols need a slot or a stub. */
static jitc_status note_needs(object *o, const section *target, const Elf64_Rela *r, const struct kind *kind) {
    uint64_t index = ELF64_R_SYM(r->r_info);
    if (target->h.sh_type == SHT_NOBITS || r->r_offset > target->h.sh_size ||
        kind->size > target->h.sh_size - r->r_offset)
        return BAD(o, "The object holds a relocation outside of its section.");
    if (!index || index >= o->nsymbols)
        return BAD(o, "The object holds a relocation against symbol %llu, which does not exist.",
                   (unsigned long long)index);
    symbol *s = &o->symbols[index];
    bool stub = kind->how == H_BRANCH && is_external(s);
    if (stub && !s->stub)
        s->stub = ++o->nstubs;
    if ((stub || kind->how == H_GOT) && !s->slot)
        s->slot = ++o->nslots;
    return JITC_OK;
}

static void *find_external(const object *o, const char *name) {
    for (uint32_t i = 0; i < o->nextra; i++)
        if (strcmp(o->extra[i].name, name) == 0)
            return o->extra[i].address;
    for (uint32_t i = 0; i < jc_loader_nexternals; i++)
        if (strcmp(jc_loader_externals[i].name, name) == 0)
            return jc_loader_externals[i].address;
    return NULL;
}

static jitc_status address_of(object *o, const symbol *s, uint64_t *out) {
    const char *name = o->strings + s->s.st_name;
    unsigned type = ELF64_ST_TYPE(s->s.st_info);
    if (is_external(s)) {
        *out = (uint64_t)(uintptr_t)find_external(o, name);
        return *out ? JITC_OK
                    : BAD(o, "The object needs '%.100s', which is none of the functions that code may call.", name);
    }
    if (type == STT_TLS || type == STT_GNU_IFUNC)
        return BAD(o, "The object's symbol '%.100s' is of a kind that libjitc does not load.", name);
    if (s->s.st_shndx == SHN_ABS) {
        *out = s->s.st_value;
        return JITC_OK;
    }
    if (s->s.st_shndx >= o->nsections || !o->sections[s->s.st_shndx].loaded)
        return BAD(o, "The object's symbol '%.100s' lies in a section that is not loaded.", name);
    const section *home = &o->sections[s->s.st_shndx];
    if (s->s.st_value > home->h.sh_size)
        return BAD(o, "The object's symbol '%.100s' lies outside of its section.", name);
    *out = (uint64_t)(uintptr_t)(o->map + o->base[home->group] + home->at) + s->s.st_value;
    return JITC_OK;
}

/* Second walk: writes the values. */
static jitc_status relocate(object *o, const section *target, const Elf64_Rela *r, const struct kind *kind) {
    const symbol *s = &o->symbols[ELF64_R_SYM(r->r_info)];
    uint8_t *place = o->map + o->base[target->group] + target->at + r->r_offset;
    uint64_t value;
    if (kind->how == H_GOT)
        value = (uint64_t)(uintptr_t)(o->map + o->slots_at + (s->slot - 1) * (size_t)SLOT_SIZE);
    else if (kind->how == H_BRANCH && s->stub)
        value = (uint64_t)(uintptr_t)(o->map + o->stubs_at + (s->stub - 1) * (size_t)STUB_SIZE);
    else
        JC_TRY(address_of(o, s, &value));
    value += (uint64_t)r->r_addend;
    if (kind->how != H_ABSOLUTE)
        value -= (uint64_t)(uintptr_t)place;
    if (kind->size == 4 && (kind->is_signed ? (int64_t)value != (int32_t)value : value != (uint32_t)value))
        return BAD(o, "The object's symbol '%.100s' is out of reach of a 32-bit field: code has to be compiled "
                      "position-independent.", o->strings + s->s.st_name);
    memcpy(place, &value, kind->size);
    return JITC_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t x, size_t to) {
    return (x + to - 1) / to * to;
}

static jitc_status map_groups(object *o) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), total = 0;
    size_t stubs = round_up(o->size[TEXT], 16), slots = round_up(o->size[RODATA], 16);
    o->size[TEXT] = stubs + (size_t)o->nstubs * STUB_SIZE;
    o->size[RODATA] = slots + (size_t)o->nslots * SLOT_SIZE;
    for (int g = 0; g < GROUPS; g++) {
        o->base[g] = total;
        total += round_up(o->size[g], page);
    }
    o->stubs_at = o->base[TEXT] + stubs;
    o->slots_at = o->base[RODATA] + slots;
    if (!total)
        return BAD(o, "The object holds neither code nor data.");
    if (total > MAX_BYTES)
        return BAD(o, "The object's sections take %zu bytes; %zu is the most.", total, MAX_BYTES);
    void *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return jc_fail(o->err, JITC_E_NOMEM, "There is no memory to load %zu bytes of code.", total);
    o->map = map;
    o->mapped = total;
    return JITC_OK;
}

static void copy_sections(object *o) {
    for (uint32_t i = 0; i < o->nsections; i++) {
        const section *s = &o->sections[i];
        if (s->loaded && s->h.sh_type == SHT_PROGBITS && s->h.sh_size)
            memcpy(o->map + o->base[s->group] + s->at, o->bytes + s->h.sh_offset, s->h.sh_size);
    }
}

static jitc_status fill_slots(object *o) {
    for (uint32_t i = 0; i < o->nsymbols; i++) {
        const symbol *s = &o->symbols[i];
        if (!s->slot)
            continue;
        uint64_t address;
        JC_TRY(address_of(o, s, &address));
        uint8_t *slot = o->map + o->slots_at + (s->slot - 1) * (size_t)SLOT_SIZE;
        memcpy(slot, &address, sizeof address);
        if (!s->stub)
            continue;
        uint8_t *stub = o->map + o->stubs_at + (s->stub - 1) * (size_t)STUB_SIZE;
        int32_t distance = (int32_t)(slot - (stub + 6));
        static const uint8_t jump[STUB_SIZE] = { 0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc }; /* jmp *distance(%rip) */
        memcpy(stub, jump, sizeof jump);
        memcpy(stub + 2, &distance, sizeof distance);
    }
    return JITC_OK;
}

static jitc_status protect(object *o) {
    static const int protection[GROUPS] = { PROT_READ | PROT_EXEC, PROT_READ, PROT_READ | PROT_WRITE };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int g = 0; g < GROUPS; g++)
        if (o->size[g] && mprotect(o->map + o->base[g], round_up(o->size[g], page), protection[g]) != 0)
            return jc_fail(o->err, JITC_E_DEVICE,
                           "The system does not let code be executed that was written at run time.");
    return JITC_OK;
}

/* ---- the result ----------------------------------------------------------------------------------------------- */

static bool is_export(const object *o, const symbol *s) {
    unsigned type = ELF64_ST_TYPE(s->s.st_info);
    return ELF64_ST_BIND(s->s.st_info) != STB_LOCAL && s->s.st_shndx < o->nsections &&
           o->sections[s->s.st_shndx].loaded && (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE);
}

static jitc_status make_result(object *o, jc_loaded **out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->nsymbols; i++)
        n += is_export(o, &o->symbols[i]);
    size_t block = sizeof(jc_loaded) + n * sizeof(export) + o->nstrings;
    jc_loaded *l = take(o->alloc, 1, block);
    if (!l)
        return jc_fail(o->err, JITC_E_NOMEM, "There is no memory for the names of %u functions.", n);
    *l = (jc_loaded){ .alloc = o->alloc, .exports = (export *)(l + 1), .block = block };
    char *text = (char *)(l->exports + n);
    memcpy(text, o->strings, o->nstrings);
    for (uint32_t i = 0; i < o->nsymbols; i++) {
        if (!is_export(o, &o->symbols[i]))
            continue;
        uint64_t address;
        if (address_of(o, &o->symbols[i], &address) != JITC_OK) {
            give(o->alloc, l, 1, block);
            return JITC_E_INPUT;
        }
        l->exports[l->nexports++] = (export){ text + o->symbols[i].s.st_name, (void *)(uintptr_t)address };
    }
    l->map = o->map;
    l->mapped = o->mapped;
    *out = l;
    return JITC_OK;
}

static jitc_status load(object *o, jc_loaded **out) {
    JC_TRY(read_sections(o));
    JC_TRY(read_symbols(o));
    JC_TRY(each_relocation(o, note_needs));
    JC_TRY(map_groups(o));
    copy_sections(o);
    JC_TRY(fill_slots(o));
    JC_TRY(each_relocation(o, relocate));
    JC_TRY(protect(o));
    return make_result(o, out);
}

jitc_status jc_load_object(const uint8_t *bytes, size_t n, const jc_loader_symbol *extra, uint32_t nextra,
                           const jc_alloc *alloc, jc_loaded **out, jc_error *err) {
#if !defined(__x86_64__)
    return jc_fail(err, JITC_E_UNSUPPORTED, "Objects are loaded on x86-64 only.");
#endif
    object o = { .bytes = bytes, .n = n, .extra = extra, .nextra = nextra,
                 .alloc = alloc ? alloc : &jc_alloc_libc, .err = err };
    jitc_status status = load(&o, out);
    give(o.alloc, o.symbols, o.nsymbols, sizeof(symbol));
    give(o.alloc, o.sections, o.nsections, sizeof(section));
    if (status != JITC_OK && o.map)
        munmap(o.map, o.mapped);
    return status;
}

void *jc_loaded_symbol(const jc_loaded *l, const char *name) {
    for (uint32_t i = 0; i < l->nexports; i++)
        if (strcmp(l->exports[i].name, name) == 0)
            return l->exports[i].address;
    return NULL;
}

void jc_loaded_free(jc_loaded *l) {
    if (!l)
        return;
    munmap(l->map, l->mapped);
    give(l->alloc, l, 1, l->block);
}
