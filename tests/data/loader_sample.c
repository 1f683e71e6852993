/* loader_sample.c - compiled to objects that tests/check_loader.c loads and runs. */
float expf(float);
double erf(double);
void *memset(void *, int, unsigned long);
int extra_function(int);

static int counter = 40;    /* .data */
static int zeroed[300];     /* .bss */
int shared_value = 7;       /* reached through the GOT when position-independent */

int sample_add(int a, int b) {
    return a + b;
}

float sample_expf(float x) {
    return expf(x) + 1.0f; /* a call that leaves the object, and a constant in .rodata */
}

double sample_erf(double x) {
    return erf(x) * 2.0;
}

int sample_count(void) {
    return ++counter;
}

int sample_bss(int i) {
    zeroed[0] += i;
    return zeroed[0];
}

int sample_shared(int add) {
    shared_value += add;
    return shared_value;
}

int sample_extra(int x) {
    return extra_function(x) + 1;
}

void sample_fill(unsigned char *at, unsigned long n) {
    memset(at, 0x5a, n);
}

#ifdef WITH_TABLE /* absolute addresses where the code is not position-independent */
typedef float (*float_function)(float);
float_function sample_pointer(void) {
    return expf; /* the address of an external function */
}

static const int *const table[] = { &shared_value, &counter }; /* R_X86_64_64 */
static const short primes[] = { 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53 };
int sample_table(int i) {
    return *table[i & 1];
}
int sample_prime(int i) {
    return primes[i & 15];
}
#endif
