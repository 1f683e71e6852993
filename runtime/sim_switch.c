/*
 * runtime/sim_switch.c - switching between stacks.
 *
 * On x86-64 a switch saves the six registers that a callee has to preserve and exchanges the stack pointer; elsewhere
 * ucontext does it.  The address sanitizer is told of each switch (its fiber interface), and valgrind of each stack (by
 * its client request, which is a no-op on a real processor): both would take a jump of the stack pointer for
 * something else.
 *
 * Stacks lie side by side in one mapping, at multiples of their size, with at least one more below the first to take
 * an overflow.  The lowest words of each hold a known value.
 */
#define _GNU_SOURCE
#include "runtime/sim_priv.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#endif
#ifndef ASAN
#define ASAN 0
#endif
#if ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define CANARY 0x5ac0ffee5ac0ffeeull
#define CANARIES 8

/* ---- valgrind ---------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
enum { RUNNING_ON_VALGRIND = 0x1001, STACK_REGISTER = 0x1501, STACK_DEREGISTER = 0x1502 };

/* The rotations leave rdi as it was; only valgrind takes the sequence for a request. */
static uintptr_t valgrind(uintptr_t request, uintptr_t a, uintptr_t b) {
    volatile uintptr_t args[6] = { request, a, b, 0, 0, 0 };
    uintptr_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(args)
                     : "cc", "memory");
    return answer;
}
#else
enum { RUNNING_ON_VALGRIND, STACK_REGISTER, STACK_DEREGISTER };
static uintptr_t valgrind(uintptr_t request, uintptr_t a, uintptr_t b) {
    (void)request, (void)a, (void)b;
    return 0;
}
#endif

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* The stacks of the last launch, for the next one: its pages are there already, which took a quarter of a small kernel's time. */
static struct {
    pthread_mutex_t lock;
    void *area;
    size_t size;
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *take_area(size_t *size) {
    void *area = NULL;
    pthread_mutex_lock(&spare.lock);
    if (spare.area && spare.size >= *size) {
        area = spare.area;
        *size = spare.size;
        spare.area = NULL;
    }
    pthread_mutex_unlock(&spare.lock);
    return area;
}

/* The larger of two is kept. */
static void give_area(void *area, size_t size) {
    pthread_mutex_lock(&spare.lock);
    if (!spare.area || spare.size < size) {
        void *other = spare.area;
        const size_t other_size = spare.size;
        spare.area = area;
        spare.size = size;
        area = other;
        size = other_size;
    }
    pthread_mutex_unlock(&spare.lock);
    if (area)
        munmap(area, size);
}

bool jc_fibers_open(jc_fibers *fs, jc_fiber *const *each, uint32_t n) {
    size_t size = ((size_t)n + 2) * JC_FIBER_STACK;
    void *area = take_area(&size);
    if (!area)
        area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return false;
    *fs = (jc_fibers){ .area = area, .size = size };
    fs->running = &fs->main;
    uint8_t *lowest = fs->area + 2 * JC_FIBER_STACK - (uintptr_t)fs->area % JC_FIBER_STACK;
    bool watched = valgrind(RUNNING_ON_VALGRIND, 0, 0) != 0;
    for (uint32_t i = 0; i < n; i++) {
        jc_fiber *f = each[i];
        f->stack = lowest + (size_t)i * JC_FIBER_STACK;
        f->size = JC_FIBER_STACK;
        for (int w = 0; w < CANARIES; w++)
            ((uint64_t *)f->stack)[w] = CANARY;
        if (watched)
            f->registered = 1 + valgrind(STACK_REGISTER, (uintptr_t)f->stack, (uintptr_t)f->stack + f->size - 1);
    }
    return true;
}

void jc_fibers_close(jc_fibers *fs, jc_fiber *const *each, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (each[i]->registered)
            valgrind(STACK_DEREGISTER, each[i]->registered - 1, 0);
#if ASAN
    __asan_unpoison_memory_region(fs->area, fs->size);
#endif
    give_area(fs->area, fs->size);
}

bool jc_fiber_overflown(const jc_fiber *f) {
    for (int w = 0; w < CANARIES; w++)
        if (((const uint64_t *)f->stack)[w] != CANARY)
            return true;
    return false;
}

/* ---- switching --------------------------------------------------------------------------------------------------- */

#if JC_FIBER_ASM
void jc_fiber_swap(void **save, void *to);
void jc_fiber_begin(void);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden jc_fiber_swap\n"
        ".globl jc_fiber_swap\n"
        ".type jc_fiber_swap, @function\n"
        "jc_fiber_swap:\n"
        "\tpushq %rbp\n"
        "\tpushq %rbx\n"
        "\tpushq %r12\n"
        "\tpushq %r13\n"
        "\tpushq %r14\n"
        "\tpushq %r15\n"
        "\tmovq %rsp, (%rdi)\n"
        "\tmovq %rsi, %rsp\n"
        "\tpopq %r15\n"
        "\tpopq %r14\n"
        "\tpopq %r13\n"
        "\tpopq %r12\n"
        "\tpopq %rbx\n"
        "\tpopq %rbp\n"
        "\tret\n"
        ".size jc_fiber_swap, .-jc_fiber_swap\n"
        ".p2align 4\n"
        ".hidden jc_fiber_begin\n"
        ".globl jc_fiber_begin\n"
        ".type jc_fiber_begin, @function\n"
        "jc_fiber_begin:\n" /* r12: the function, r13: its argument */
        "\tmovq %r13, %rdi\n"
        "\tcallq *%r12\n"
        "\tud2\n"
        ".size jc_fiber_begin, .-jc_fiber_begin\n");

void jc_fiber_prepare(jc_fiber *f, void (*entry)(void *arg), void *arg) {
#if ASAN
    __asan_unpoison_memory_region(f->stack, f->size); /* what was cut off may have left its red zones */
#endif
    f->ended = false;
    f->fake = NULL;
    /* What jc_fiber_swap pops: r15, r14, r13, r12, rbx, rbp, and where to go on.  Two words are left above them, so
       that the stack pointer is a multiple of 16 then, as a call needs it. */
    uint64_t *top = (uint64_t *)(void *)(f->stack + f->size) - 9;
    memset(top, 0, 9 * sizeof *top);
    top[2] = (uint64_t)(uintptr_t)arg;
    top[3] = (uint64_t)(uintptr_t)entry;
    top[6] = (uint64_t)(uintptr_t)jc_fiber_begin;
    f->sp = top;
}

static void swap(jc_fiber *from, jc_fiber *to) {
    jc_fiber_swap(&from->sp, to->sp);
}
#else
/* makecontext passes ints: the pointers go in halves. */
static void begin(unsigned f1, unsigned f0, unsigned a1, unsigned a0) {
    uintptr_t entry = (uintptr_t)((uint64_t)f1 << 32 | f0), arg = (uintptr_t)((uint64_t)a1 << 32 | a0);
    ((void (*)(void *))entry)((void *)arg);
}

void jc_fiber_prepare(jc_fiber *f, void (*entry)(void *arg), void *arg) {
#if ASAN
    __asan_unpoison_memory_region(f->stack, f->size);
#endif
    f->ended = false;
    f->fake = NULL;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = f->size;
    f->context.uc_link = NULL;
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;
    makecontext(&f->context, (void (*)(void))begin, 4, (unsigned)(e >> 32), (unsigned)e, (unsigned)(a >> 32),
                (unsigned)a);
}

static void swap(jc_fiber *from, jc_fiber *to) {
    swapcontext(&from->context, &to->context);
}
#endif

/* The sanitizer learns here where the previous stack lies: so it knows the main one, when we go back to it. */
static void arrived(jc_fibers *fs, void *fake) {
#if ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(fake, &bottom, &size);
    if (fs->previous == &fs->main) {
        fs->main.stack = (uint8_t *)(uintptr_t)bottom;
        fs->main.size = size;
    }
#else
    (void)fs, (void)fake;
#endif
}

void jc_fiber_entered(jc_fibers *fs) {
    arrived(fs, NULL);
}

void jc_fiber_switch(jc_fibers *fs, jc_fiber *to) {
    jc_fiber *from = fs->running;
    fs->previous = from;
    fs->running = to;
#if ASAN
    __sanitizer_start_switch_fiber(from->ended ? NULL : &from->fake, to->stack, to->size);
#endif
    swap(from, to);
    arrived(fs, from->fake);
}
