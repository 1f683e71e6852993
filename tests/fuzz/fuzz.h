/*
 * tests/fuzz/fuzz.h - random graphs: a typed program, its text, and what is known of its values.  See README.md.
 *
 * Everything of one program lives in its arena.  Nothing here calls the library: what it says of dims and values is an opinion
 * of its own.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/bytes.h"
#include "ir/type.h"

/* --- sizes: polynomials over the program's variables and what divisions and clamping make of them (fuzz_size.c) --- */

#define FZ_VARS 5
#define FZ_RUNS 3
#define FZ_TERMS 6
#define FZ_FACTORS 4
#define FZ_ATOMS 200

typedef struct fz_term {
    int64_t by;
    uint8_t n;                /* factors; 0: the constant term */
    uint8_t atom[FZ_FACTORS]; /* sorted */
} fz_term;

typedef struct fz_size {
    uint8_t n;
    fz_term term[FZ_TERMS]; /* in order of their factors */
} fz_size;

enum fz_atom_kind { FZ_VAR, FZ_FDIV, FZ_MOD, FZ_MIN, FZ_MAX };

typedef struct fz_atom {
    uint8_t kind, var;
    fz_size a, b;
} fz_atom;

/* A number that the program is written in: a symbol, or one that the text has as a constant. */
typedef struct fz_var {
    bool symbol;
    int64_t value[FZ_RUNS]; /* all equal where it is no symbol */
} fz_var;

/* --- what is known of elements (fuzz_range.c) --- */

/* Every element is in [lo, hi]; a multiple of step and exact where step > 0; else off by at most err. Of a type wider than its
   values may tell, or of arbitrary bits, nothing is known: opaque; such floats are only moved.  Mixed: with such that are off by some.
   Wild: NaN and infinities may be among them; these are moved, chosen and compared, but not computed with. */
typedef struct fz_range {
    double lo, hi, step, err;
    bool opaque, mixed, wild;
} fz_range;

typedef struct fz_storage {
    fz_range range; /* of all that was ever written into it */
    fz_range first; /* of an input: as it comes */
    bool input;
    bool written;   /* by a statement, or by an operator of the host as far as anybody knows */
} fz_storage;

typedef struct fz_value {
    uint8_t kind; /* JC_TENSOR or JC_SYMINT */
    uint8_t dtype, rank;
    bool overlaps;   /* two elements in one place: never written */
    bool contiguous; /* certainly */
    bool view;       /* of something older */
    fz_size dims[JC_MAX_RANK]; /* of a symint: the first one */
    int storage;
    int def; /* statement; -1: a root parameter */
    char name[12];
    /* Of a root parameter: its layout. Strides are those of the dims in this order, the last one with PAD elements between rows. */
    uint8_t order[JC_MAX_RANK];
    int pad;
    int with;       /* another parameter, in whose memory it begins OFFSET elements on; -1: none */
    int offset;
} fz_value;

/* Text of a statement: literal, the name of a value, a size. */
enum fz_item_kind { FZ_TEXT, FZ_NAME, FZ_SIZE };
typedef struct fz_item {
    uint8_t kind;
    int value;
    const char *text;
    fz_size size;
} fz_item;

enum fz_form {
    FZ_ASSIGN, /* name: "type" = text */
    FZ_TUPLE,  /* t = text, then name: "type" = t[i] of the results that are not -1 */
    FZ_EFFECT, /* text alone */
};

#define FZ_RESULTS 6

typedef struct fz_stmt {
    uint8_t form;
    bool noted; /* results are annotated */
    bool dropped; /* by the shrinker */
    JC_VEC(fz_item) items;
    int nresults;
    int result[FZ_RESULTS]; /* values; -1: not taken */
    int tuple[FZ_RESULTS];  /* which element of the tuple */
    int piece;              /* of the cut text */
} fz_stmt;

typedef struct fz_prog {
    jc_arena *arena;
    uint64_t seed, state;
    fz_var vars[FZ_VARS];
    int nvars, nruns;
    int64_t limit; /* elements of a tensor */
    bool bad;      /* the statement being made came to nothing */
    int natoms;
    fz_atom atoms[FZ_ATOMS];
    JC_VEC(fz_value) values;
    JC_VEC(fz_storage) storages;
    JC_VEC(fz_stmt) stmts;
    JC_VEC(int) outputs; /* values */
    int npieces;         /* of the cut text; 1: not cut */
    bool custom;         /* it calls operators of ours */
    int tuples;          /* names given to them */
    int in_place;        /* 1 + the value into which the statement being made writes its result: its call ends with a `_` */
    bool floats_only;    /* tastes: ... */
    bool bits;           /* small floats made of integers, moved, and looked at as integers again */
    bool wild;           /* NaN and infinities among the inputs */
    bool shared;         /* inputs that lie in one another */
} fz_prog;

/* --- chance --- */
uint64_t fz_next(uint64_t *state);
int fz_below(fz_prog *p, int n);          /* [0, n); n > 0 */
bool fz_chance(fz_prog *p, int percent);
double fz_pick_number(fz_prog *p, double lo, double hi, double step);
#define FZ_PICK(p, table) ((table)[fz_below((p), (int)(sizeof(table) / sizeof *(table)))])

/* --- fuzz_size.c --- */
fz_size fz_int(int64_t k);
fz_size fz_var_size(fz_prog *p, int var);
fz_size fz_add(fz_prog *p, fz_size a, fz_size b);
fz_size fz_sub(fz_prog *p, fz_size a, fz_size b);
fz_size fz_mul(fz_prog *p, fz_size a, fz_size b);
fz_size fz_min(fz_prog *p, fz_size a, fz_size b);
fz_size fz_max(fz_prog *p, fz_size a, fz_size b);
fz_size fz_fdiv(fz_prog *p, fz_size a, int64_t k); /* k > 0 */
fz_size fz_mod(fz_prog *p, fz_size a, int64_t k);
bool fz_same(const fz_prog *p, const fz_size *a, const fz_size *b); /* in every run, by their form */
bool fz_is_const(const fz_prog *p, const fz_size *a, int64_t *k);  /* in the text */
bool fz_is(const fz_prog *p, const fz_size *a, int64_t k);
bool fz_divides(const fz_prog *p, const fz_size *a, int64_t k, fz_size *quotient);
int64_t fz_value_of(const fz_prog *p, const fz_size *a, int run);
int64_t fz_least(const fz_prog *p, const fz_size *a); /* over the runs */
int64_t fz_most(const fz_prog *p, const fz_size *a);
void fz_print_size(const fz_prog *p, const fz_size *a, bool code, jc_bytes *out); /* code: in a statement */
/* Marks in MASK the symbols that the text of A has. */
void fz_symbols_of(const fz_prog *p, const fz_size *a, unsigned *mask);

/* --- fuzz_range.c --- */
fz_range fz_interval(double lo, double hi, double step);
fz_range fz_join(fz_range a, fz_range b);
double fz_unit(uint8_t dtype);     /* half a unit in the last place of 1 */
double fz_largest(uint8_t dtype);  /* the largest magnitude that is a good idea */
/* Of a result of DTYPE computed to within its own ERR, which is rounded: exact results stay so where they fit. False: no good. */
bool fz_settle(fz_range *r, uint8_t dtype);
bool fz_full(uint8_t dtype, fz_range *r); /* all values of an integer type */
double fz_magnitude(fz_range r);

/* --- fuzz_prog.c --- */
fz_prog *fz_generate(jc_arena *arena, uint64_t seed);
/* Its sizes and tastes, without a statement; its results and cuts. */
fz_prog *fz_begin_program(jc_arena *arena, uint64_t seed);
fz_prog *fz_end_program(fz_prog *p);
fz_value *fz_at(const fz_prog *p, int value);
fz_range *fz_range_of(const fz_prog *p, int value);
int64_t fz_numel_most(const fz_prog *p, const fz_value *v);
int64_t fz_numel_least(const fz_prog *p, const fz_value *v);
bool fz_fits(const fz_prog *p, int rank, const fz_size *dims);
char fz_class(const fz_prog *p, int value);
/* A statement under construction: its text by pieces.  %v value, %z const fz_size *, %d int, %s text, %g double as Python has it, %t dtype. */
fz_stmt *fz_begin(fz_prog *p);
void fz_put(fz_prog *p, const char *format, ...);
/* Opens a call of the spelling NAME (ir/fx/spellings.def) on X in one of its forms, whole but for what stands between X and the ')', and
   closes it; REST may be "".  fz_call_in_place: with a trailing `_`.  fz_call chooses now and then to be one, where X may be written: what
   fz_result then makes is X, with what is known of it. */
void fz_call(fz_prog *p, const char *name, int x, const char *rest, ...);
bool fz_has_in_place(const char *name);
char fz_some_form(fz_prog *p, const char *name, bool in_place);
bool fz_goes_in_place(fz_prog *p, const char *name, int x); /* now and then, where it may: notes it */
void fz_call_in_place(fz_prog *p, const char *name, int x, const char *rest, ...);
/* A result with storage of its own, of range R; -1 where it is no good. FZ_VIEW: shares that of OF. */
int fz_result(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims, fz_range r);
int fz_view(fz_prog *p, int of, uint8_t dtype, int rank, const fz_size *dims);
int fz_symint(fz_prog *p, fz_size size);
bool fz_gives(fz_prog *p, int value); /* the statement's one result; false where it is -1 */
/* An operand: an existing tensor that WANT likes, or a fresh root parameter. */
typedef bool fz_want(const fz_prog *p, int value, const void *user);
int fz_choose(fz_prog *p, fz_want *want, const void *user);
/* As the program's taste has it, NaN and infinities come with parameter VALUE, where WANT does not mind them. */
void fz_make_wild(fz_prog *p, int value, fz_want *want);
int fz_param(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims, fz_range r);
fz_size fz_some_size(fz_prog *p);
fz_range fz_some_range(fz_prog *p, uint8_t dtype);
uint8_t fz_some_dtype(fz_prog *p);
/* Does writing a value of range R into it make sense; then it is noted. */
bool fz_wrote(fz_prog *p, int value, fz_range r);
bool fz_writable(const fz_prog *p, int value);

/* The makers of statements: each adds one (or a few) to the program and returns true, or leaves it as it was. */
typedef bool fz_maker(fz_prog *p);
typedef struct fz_kind {
    const char *name;
    fz_maker *make;
    int weight;
} fz_kind;
extern const fz_kind fz_pointwise_kinds[], fz_reduce_kinds[], fz_view_kinds[], fz_join_kinds[], fz_make_kinds[], fz_product_kinds[],
    fz_write_kinds[], fz_order_kinds[], fz_row_kinds[]; /* ends with name NULL */

/* --- fuzz_spell.c: spellings.def, and what of it a text has --- */
typedef struct fz_spelling {
    const char *name, *forms, *handler;
} fz_spelling;
#define FZ_MAX_SPELLINGS 1200
#define FZ_FORM(letter) (1u << ((letter) - 'a'))
extern const fz_spelling fz_spellings[];
extern const int fz_nspellings;
bool fz_spelling_is_text(const fz_spelling *s); /* it says what is computed: neither refused nor without a meaning */
/* Marks in SEEN[row] the forms, FZ_FORM() each, in which TEXT has it. */
void fz_spellings_of(const char *text, uint32_t *seen);

/* --- gen_cast.c --- */
bool fz_make_cast(fz_prog *p);
bool fz_cast_range(fz_range *r, uint8_t from, uint8_t to); /* false: no good */

/* --- gen_view.c: shared --- */
int fz_some_tensor(fz_prog *p); /* of one dim at least */
bool fz_make_bits(fz_prog *p);  /* of the taste for bits: integers seen as floats, or such floats as integers */

/* --- gen_join.c, gen_write.c: shared --- */
int fz_some_index(fz_prog *p, int64_t size, bool wrap, bool vector); /* of integers below SIZE, and with WRAP from -SIZE on */
int fz_some_target(fz_prog *p);                                      /* what a statement may write */

/* --- gen_pointwise.c: shared --- */
/* Dims of A and B broadcast; false where they do not for certain. */
bool fz_broadcast(const fz_prog *p, const fz_value *a, const fz_value *b, int *rank, fz_size *dims);
bool fz_computable(const fz_prog *p, int value, const void *user);  /* not fp8, not opaque */
bool fz_is_float(const fz_prog *p, int value, const void *user);    /* and computable */
bool fz_is_exact(const fz_prog *p, int value, const void *user);    /* and computable */
bool fz_is_ordered(const fz_prog *p, int value, const void *user);  /* computable, or wild: what chooses and compares takes it */
bool fz_is_number(const fz_prog *p, int value, const void *user);   /* computable and no bool */
int fz_some(fz_prog *p, fz_want *want, uint8_t dtype); /* an existing tensor, or a parameter of DTYPE; JC_DTYPE_COUNT: any */
int fz_some_float(fz_prog *p);
int fz_some_number(fz_prog *p);
/* PyTorch's promotion of tensors; and is X, promoted to DTYPE, still what it was? */
uint8_t fz_promoted(const fz_prog *p, const int *operands, int n);
bool fz_survives(const fz_prog *p, int x, uint8_t dtype);
/* A fresh parameter that broadcasts to V's dims; or an existing tensor that does so. */
int fz_partner(fz_prog *p, int value, fz_want *want);
/* What f makes of R, error and all; false outside of its domain. */
bool fz_apply(double (*f)(double), double lo, double hi, fz_range *r);
/* The new range and dtype of X OP NUMBER for an operator that keeps the dtype; used by writes too. */
typedef bool fz_arith(fz_range a, fz_range b, fz_range *out);
extern const struct fz_binary {
    const char *name, *infix; /* infix may be NULL */
    fz_arith *arith;
    bool ints_only, exact_only, divides, bools;
} fz_binaries[];

/* --- fuzz_print.c --- */
/* The program whole, or as a root and its pieces. */
char *fz_print_flat(const fz_prog *p, jc_arena *arena);
char *fz_print_cut(const fz_prog *p, jc_arena *arena);
void fz_note_of(const fz_prog *p, const fz_value *v, jc_bytes *out); /* f32[s0, 4] */

#endif
