/*
 * ir/fx/fx_ast.h - tokens, statements and the state of one reading; internal to fx_*.c.
 *
 * Lifetimes.  The text is borrowed for the whole of a reading.  Names, resolved operators and annotations live in
 * the scratch arena, which goes when the reading ends.  The syntax tree of a class lives in a pool that is reset
 * before the next class, so memory for trees is bounded by the root plus the largest piece.  What must outlive the
 * reading is allocated from the graph's arena.
 *
 * Failure is sticky: the first one is recorded in the reader, `status` says so, and from then on the lexer yields
 * FX_T_END and every builder passes through, so callers check where they would otherwise look at a result.
 */
#ifndef JC_FX_AST_H
#define JC_FX_AST_H

#include "ir/graph.h"

#define FX_MAX_DEPTH 64 /* of nested expressions */

typedef struct fx_name fx_name;
typedef struct fx_ast fx_ast;
typedef struct fx_stmt fx_stmt;
typedef struct fx_reader fx_reader;
struct fx_target;
struct fx_note;

typedef enum fx_keyword {
    FX_KW_NONE,
    FX_KW_CLASS,
    FX_KW_DEF,
    FX_KW_RETURN,
    FX_KW_DEL,
    FX_KW_PASS,
    FX_KW_IMPORT,
    FX_KW_FROM,
    FX_KW_NIL, /* None */
    FX_KW_TRUE,
    FX_KW_FALSE,
    FX_KW_WITH,
    FX_KW_OTHER, /* reserved by Python, and no part of the grammar */
} fx_keyword;

typedef enum fx_state { FX_UNBOUND, FX_BOUND, FX_FREED } fx_state;

/* A distinct piece of text: identifier, dotted path, annotation or string. */
struct fx_name {
    const char *text; /* not terminated */
    uint32_t length, hash;
    uint8_t keyword;
    uint8_t state;     /* fx_state, if scope is the current one */
    uint32_t scope;
    uint32_t at;       /* place of the binding or of the freeing */
    jc_arg value;
    uint32_t made_scope;
    fx_stmt *made;     /* the parser's: the call statement that bound the name, if made_scope is current */
    char *copy;        /* terminated, in the graph's arena; NULL until asked for */
    const struct fx_target *function, *method; /* what it means where it is called */
    const char *called[2];                     /* as function, as method: how the graph lists it; NULL: it is not called so yet */
    const struct fx_note *note;                /* what it means as an annotation */
};

typedef enum fx_token_kind {
    FX_T_END,
    FX_T_NEWLINE,
    FX_T_NAME, /* name */
    FX_T_PATH, /* name: `torch.` and what follows without a blank */
    FX_T_INT,  /* magnitude */
    FX_T_FLOAT,
    FX_T_COMPLEX, /* number: of 1j */
    FX_T_STR,  /* name: decoded */
    FX_T_POW, FX_T_FDIV, FX_T_SHL, FX_T_SHR, FX_T_EQ, FX_T_NE, FX_T_LE, FX_T_GE, FX_T_ARROW, FX_T_DOTS,
    FX_T_AUG,  /* `op=`; op is the operator's token */
    /* all others are their own character */
} fx_token_kind;

typedef struct fx_token {
    uint8_t kind, op;
    uint32_t at; /* offset in the text */
    union {
        fx_name *name;
        uint64_t magnitude;
        double number;
    };
} fx_token;

typedef enum fx_ast_kind {
    FX_A_NAME,  /* name */
    FX_A_PATH,  /* name */
    FX_A_INT,   /* integer */
    FX_A_FLOAT, /* number */
    FX_A_COMPLEX, /* number: of 1j */
    FX_A_STR,   /* name */
    FX_A_NONE,
    FX_A_TRUE,
    FX_A_FALSE,
    FX_A_DOTS,
    FX_A_LIST,  /* first, n */
    FX_A_TUPLE, /* first, n */
    FX_A_DICT,  /* first, n; every element has a key */
    FX_A_SLICE, /* first: three, FX_A_NONE where left out */
    FX_A_CALL,  /* first: the callee, then n arguments */
    FX_A_INDEX, /* first: the base, then the index */
    FX_A_ATTR,  /* first: the base; attribute */
    FX_A_UNARY, /* op, first */
    FX_A_BINARY, /* op, first: two */
    FX_A_REFUSED, /* name: a sentence, why it is not supported; not in text, but in what other readers make */
} fx_ast_kind;

struct fx_ast {
    uint8_t kind, op;
    uint16_t height; /* of the tree below: bounded by FX_MAX_DEPTH */
    uint32_t at;
    fx_name *key;    /* keyword of an argument, key of a dict's element */
    fx_ast *next;    /* sibling */
    union {
        fx_name *name;
        int64_t integer;
        double number;
        struct {
            fx_ast *first;
            union {
                uint32_t n;
                fx_name *attribute;
            };
        };
    };
};

typedef enum fx_stmt_kind {
    FX_S_ASSIGN, /* target: note = value */
    FX_S_STORE,  /* place[...] = value */
    FX_S_AUG,    /* place op= value */
    FX_S_FREE,   /* place: names, chained */
    FX_S_EXPR,   /* value */
    FX_S_RETURN, /* value */
    FX_S_UNPACK, /* place: names, chained, = value */
    FX_S_WITH,   /* value: a context that is entered */
    FX_S_LEAVE,  /* the end of the innermost one */
} fx_stmt_kind;

/* An element of a tuple result, told by a later `name: "ANN" = tuple[index]`. */
typedef struct fx_element fx_element;
struct fx_element {
    uint32_t index;
    fx_name *note; /* NULL: none */
    fx_element *next;
};

struct fx_stmt {
    uint8_t kind, op;
    uint32_t at;
    int line;
    fx_name *target, *note;
    fx_ast *place, *value;
    fx_element *elements; /* of a call without annotation */
    fx_stmt *next;
};

typedef struct fx_param fx_param;
struct fx_param {
    fx_name *name, *note; /* note NULL: no annotation */
    uint32_t at;
    int line;
    fx_param *next;
};

/* A name that a class takes as a value: `self.NAME`. */
typedef struct fx_taken fx_taken;
struct fx_taken {
    const fx_name *name;
    fx_taken *next;
};

/* A class nested in another: a function of its own, or a tree that is built where it is used. */
typedef struct fx_child fx_child;
typedef struct fx_class {
    fx_name *name;
    uint32_t at, column;
    int line;
    fx_param *params;
    uint32_t nparams, nstmts;
    fx_stmt *body;
    fx_taken *taken;
    fx_child *children;
    bool returned;
} fx_class;

struct fx_child {
    const fx_name *name;
    jc_func *piece; /* NULL: tree */
    jc_arg *outputs; /* the piece's, literals among them: those it need not return */
    fx_class *tree;
    int line;
    fx_child *next;
};

#define FX_MAX_NESTING 16 /* of classes */

typedef struct fx_chunk fx_chunk;
typedef struct fx_pool {
    fx_chunk *first, *current;
    uint8_t *at;
    size_t left;
} fx_pool;

struct fx_reader {
    jc_arena *arena, *scratch;
    jc_graph *graph;
    jc_error *err;
    jitc_status status;
    const char *file, *text;

    /* the lexer */
    const char *p, *end, *line_start;
    int line;
    uint32_t brackets;
    fx_token token;

    /* names */
    fx_name **names;
    uint32_t names_mask, names_count;
    fx_name *spare;
    uint32_t spare_left;

    /* the parser */
    uint32_t depth;
    uint32_t scope;  /* number of the class being parsed or built */
    uint32_t scopes; /* numbers given so far */
    fx_pool *pool, *pools[FX_MAX_NESTING]; /* of trees; that of a depth is used again for the next class there */
    fx_pool define_pool;                   /* of the trees of definitions */

    /* the builder */
    jc_func *func;
    const fx_class *cls; /* whose statements are built */
    const fx_stmt *stmt;
    const char *prefix;  /* of the paths of its constants; NULL: none */
    uint32_t inlined;    /* how many classes deep, into r->func */
    jc_arg returned;     /* by the class that is inlined */
    JC_VEC(struct fx_bound) hidden; /* bindings that a class which is inlined covers */
    uint32_t autocast;   /* contexts entered that change dtypes behind operators' backs ... */
    jc_dtype narrow;     /* ... and that of products in the innermost */
    JC_VEC(bool) modes;    /* of autocast, entered by calls: on or off */
    JC_VEC(bool) contexts; /* those of `with`: does it? */
    uint64_t parts;             /* that splits and tuples were taken into so far */
    struct fx_defined **defined; /* per row of definitions.def, NULL until used */
    uint32_t within;            /* one more than the place of the call that a definition is evaluated for: failures are placed there; 0: none */
    const struct fx_sig **sigs; /* per row of spellings.def, NULL until used */
    void *c_locale;             /* for numbers that need strtod_l */
    bool tolerant;              /* statements that are not supported are passed over */
    bool tainted;               /* the statement at hand uses what one of them was to give */
    jc_map *laid;    /* values that PyTorch lays out otherwise (fx_build_layout.c); NULL: none */
    jc_map *makers;  /* by storage, what makes it */
    jc_map *relaid;  /* by expression and result: the order of dims to lay it out in; outlives a reading */
    JC_VEC(jc_value *) copied; /* by a reshape that is a view in PyTorch */
    uint32_t expressions; /* that may make nodes, so far */
    bool again;      /* more has to be laid out otherwise than this reading knew */
    bool numbered;              /* there is no text: places are numbers, given as lines */
};

/* --- fx_lex.c --- */
void fx_lex_start(fx_reader *r, const char *text, size_t length);
void fx_next(fx_reader *r);                  /* the next token into r->token */
void fx_skip_line(fx_reader *r);             /* drops the rest of the line; then r->token is what follows it */
fx_name *fx_intern(fx_reader *r, const char *text, size_t length); /* TEXT must outlive the reading */
const char *fx_copy(fx_reader *r, fx_name *name); /* terminated, in the graph's arena */
void *fx_take(fx_reader *r, size_t size);    /* from the current pool, not zeroed, aligned to 8 */
void fx_pool_reset(fx_pool *pool);
/* Records the failure at offset AT, with line and column. */
void fx_fail(fx_reader *r, jitc_status status, uint32_t at, const char *format, ...) JC_PRINTF(4, 5);
/* What the token looks like, for messages; SIZE of OUT >= 48. */
const char *fx_token_text(const fx_reader *r, const fx_token *t, char *out, size_t size);
double fx_double(fx_reader *r, const char *from, const char *to); /* a float's text, exactly rounded */
int fx_line_of(const fx_reader *r, uint32_t at);
int fx_column_of(const fx_reader *r, uint32_t at);

/* --- fx_parse.c --- */
/* Skips what may stand before the first class; r->token is `class` or `def` afterwards. */
void fx_parse_prologue(fx_reader *r);
/* Parses one class up to the next one or the end. */
fx_class *fx_parse_class(fx_reader *r);
/* The statements of TEXT, which is not the reading's but lasts as long; no names of its results are noted. */
fx_stmt *fx_parse_text(fx_reader *r, const char *text, size_t length);

#endif
