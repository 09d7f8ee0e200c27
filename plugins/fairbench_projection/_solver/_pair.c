/* Two groups and one contrast, the usual case, on plain arrays: the outputs, and their derivatives.

   Newton's steps on exact totals. Scores become whole numbers on a grid (a power of two) so fine that n of them
   still add up in 64 bits: sums of floats depend on the order of their terms, sums of whole numbers do not. Arrays come
   as addresses; pair.py, the only caller, owns them and has checked their sizes. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h> /* FLT_EVAL_METHOD */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "numbers must be rounded to their own precision; without this part, the general search does its work"
#endif

#define STEPS 8               /* of Newton's; three are usual */
#define NO_BOUND (1LL << 62)  /* beyond all scores on the grid, by more than any shift that is tried */
#define VALUE_BITS 50         /* of one score */
#define TOTAL_BITS 60         /* of the sum of all: below 63, so that shifted scores fit as well */
#define ROUNDING 4e-16        /* of a sum of floats, relative to its terms */
#define ROUNDER 6755399441055744.0 /* 1.5 * 2^52: added to a number, it leaves the whole number in the low bits */
#define LARGEST 1e300         /* score */
#define FAR 16.0              /* times the rest: bounds that far off would make the grid coarse, and are not met */
#define LANES 8               /* sums that run side by side, because one would wait for its last addition */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

typedef struct {
    const void *score;   /* (n,) */
    const int64_t *code; /* (n,) the groups, 0 and 1 */
    int single;          /* scores and outputs are floats, not doubles */
    Py_ssize_t n;
    double lower, upper;           /* of the box */
    double least, most;            /* of an output in its own type */
    double free_lower, free_upper; /* between these a row is free to move either way */
} Batch;

typedef struct {
    double weight[2], multiplier; /* a row of group g is shifted by multiplier * weight[g] */
} Found;

static inline double number(const void *values, int single, Py_ssize_t i)
{
    return single ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static inline int64_t bits(double value)
{
    int64_t same;
    memcpy(&same, &value, sizeof same);
    return same;
}

typedef struct {
    double size, inside; /* of the largest score, and of the largest one in the box */
    int64_t second;      /* rows of group 1 */
    int valid;           /* no score is too large or NaN, and every code is 0 or 1 */
} Range;

FOR_EACH_PROCESSOR
static Range scan(const Batch *batch)
{
    int64_t size = 0, inside = 0, second = 0, others = 0;
    for (Py_ssize_t i = 0; i < batch->n; i++) {
        double score = number(batch->score, batch->single, i);
        int64_t here = bits(score) & INT64_MAX; /* ordered as the sizes are */
        int64_t kept = here & -(int64_t)((score >= batch->lower) & (score <= batch->upper));
        size = here > size ? here : size;
        inside = kept > inside ? kept : inside;
        second += batch->code[i] & 1;
        others |= batch->code[i] & ~1LL;
    }
    Range range = {0, 0, second, 0};
    memcpy(&range.size, &size, sizeof size);
    memcpy(&range.inside, &inside, sizeof inside);
    range.valid = !others && range.size <= LARGEST;
    return range;
}

/* Return the number of grid steps in 1.0, a power of two, for n numbers of which the largest has this size. */
static double grid_unit(double size, int64_t n)
{
    int exponent, length = 0;
    frexp(size, &exponent);
    while (n >> length)
        length++;
    return ldexp(1.0, (TOTAL_BITS - length < VALUE_BITS ? TOTAL_BITS - length : VALUE_BITS) - exponent);
}

static int64_t bound_on_grid(double bound, double unit, double far)
{
    if (fabs(bound) > far)
        return bound < 0 ? -NO_BOUND : NO_BOUND;
    return (int64_t)nearbyint(bound * unit);
}

/* Write the scores on the grid, those of group 0 first. */
static void on_grid(const Batch *batch, double unit, int64_t n_first, int64_t *fixed)
{
    int64_t first = 0, second = n_first;
    for (Py_ssize_t i = 0; i < batch->n; i++) {
        int64_t code = batch->code[i];
        int64_t place = first ^ ((first ^ second) & -code); /* without a branch: groups come in any order */
        fixed[place] = bits(number(batch->score, batch->single, i) * unit + ROUNDER) - bits(ROUNDER);
        second += code;
        first += 1 - code;
    }
}

/* Return the total of the values clipped to bounds, and how many these leave as they are. */
FOR_EACH_PROCESSOR
static int64_t clipped_total(const int64_t *values, int64_t n, int64_t lower, int64_t upper, int64_t *n_free)
{
    int64_t total = 0, same = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t value = values[i] < lower ? lower : values[i];
        value = value > upper ? upper : value;
        total += value;
        same += value == values[i];
    }
    *n_free = same;
    return total;
}

/* Find the multiplier; return 0 if the general search has to, -1 if there is no memory. */
static int search(const Batch *batch, double epsilon, double target, Found *found)
{
    Range range = scan(batch);
    int64_t count[2] = {batch->n - range.second, range.second}, *fixed;
    double *weight = found->weight;
    if (!range.valid || !count[0] || !count[1])
        return 0;
    if (isnan(weight[0])) { /* the mean of group 0 minus that of group 1 */
        weight[0] = 1.0 / (double)count[0];
        weight[1] = -1.0 / (double)count[1];
    }
    double size = fmax(fmax(range.size, fabs(target)), 1e-290), far = FAR * size;
    double low = fabs(batch->lower), high = fabs(batch->upper);
    double bounds = fmax(low > far ? 0 : low, high > far ? 0 : high);
    if (range.size > FAR * fmax(fmax(range.inside, bounds), fabs(target)))
        return 0; /* a score is so far outside the box that the others would lie on a coarse grid */
    double longest = 2 * (fmax(low, high) > far ? size : fmax(size, bounds)); /* shift */
    double unit = grid_unit(fmax(size, bounds), batch->n);
    int64_t lower = bound_on_grid(batch->lower, unit, far), upper = bound_on_grid(batch->upper, unit, far);
    if (!(fixed = malloc((size_t)batch->n * sizeof *fixed)))
        return -1;
    on_grid(batch, unit, count[0], fixed);

    double grid = (fabs(weight[0]) * (double)count[0] + fabs(weight[1]) * (double)count[1]) * 2 / unit;
    double nu = 0, sign = 0;
    int done = 0;
    for (int step = 0; step < STEPS; step++) {
        double gap = -target, terms = fabs(target), slope = 0;
        if (!(fmax(fabs(nu * weight[0]), fabs(nu * weight[1])) <= longest))
            break; /* totals might exceed 64 bits, and outputs a bound that was left out */
        for (int group = 0; group < 2; group++) {
            int64_t *values = group ? fixed + count[0] : fixed, n_free;
            int64_t shift = (int64_t)nearbyint(nu * weight[group] * unit);
            int64_t total = clipped_total(values, count[group], lower + shift, upper + shift, &n_free);
            double part = weight[group] * ((double)(total - shift * count[group]) / unit);
            gap += part;
            terms += fabs(part);
            slope += weight[group] * weight[group] * (double)n_free;
        }
        sign = step ? sign : copysign(1.0, gap);
        gap -= sign * epsilon;
        int exact = fabs(gap) <= ROUNDING * terms + grid;
        if (exact && !step)
            break; /* rounding decides whether the contrast is within epsilon as it is: once, in the general search */
        done = step ? exact : sign * gap < 0;
        if (done)
            break;
        nu += slope ? gap / slope : INFINITY;
        if (sign * nu <= 0)
            break;
    }
    free(fixed);
    found->multiplier = nu;
    return done;
}

/* Write the outputs (n,), and what each row can do: 0 nothing, 1 and 2 move, in group 0 or 1. */
FOR_EACH_PROCESSOR
static void write_outputs(const Batch *batch, const Found *found, void *output, uint8_t *state)
{
    double shift[2] = {found->multiplier * found->weight[0], found->multiplier * found->weight[1]};
    for (Py_ssize_t i = 0; i < batch->n; i++) {
        double value = number(batch->score, batch->single, i) - shift[batch->code[i]];
        int is_free = (value > batch->free_lower) & (value < batch->free_upper);
        state[i] = (uint8_t)(is_free * (batch->code[i] + 1));
        if (batch->single) {
            float narrow = (float)value, least = (float)batch->least, most = (float)batch->most;
            narrow = narrow < least ? least : narrow;
            ((float *)output)[i] = narrow > most ? most : narrow;
        } else {
            value = value < batch->least ? batch->least : value;
            ((double *)output)[i] = value > batch->most ? batch->most : value;
        }
    }
}

/* Pull a gradient for the outputs back: to the scores (n,), and return the one for the contrast's target. */
FOR_EACH_PROCESSOR
static double pull(const void *gradient, int single, const uint8_t *state, Py_ssize_t n, const double *weight,
                   void *by_score)
{
    double sum[3][LANES] = {{0}};
    int64_t count[3] = {0};
    for (Py_ssize_t i = 0; i < n; i++) {
        sum[state[i]][i % LANES] += number(gradient, single, i);
        count[state[i]]++;
    }
    for (int lane = 1; lane < LANES; lane++)
        for (int kind = 1; kind <= 2; kind++)
            sum[kind][0] += sum[kind][lane];
    double size = weight[0] * weight[0] * (double)count[1] + weight[1] * weight[1] * (double)count[2];
    double right = size ? (weight[0] * sum[1][0] + weight[1] * sum[2][0]) / size : 0;
    double part[3] = {0, weight[0] * right, weight[1] * right};
    for (Py_ssize_t i = 0; i < n; i++) {
        double here = number(gradient, single, i) - part[state[i]];
        here = state[i] ? here : 0; /* rather than times 0: a loss may be infinitely steep at a bound */
        if (single)
            ((float *)by_score)[i] = (float)here;
        else
            ((double *)by_score)[i] = here;
    }
    return right;
}

static PyObject *solve(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long score, code, output, state;
    Batch batch;
    Found found;
    double epsilon, target;
    if (!PyArg_ParseTuple(args, "KKKKnp(dd)dd(dd)(dd)(dd):solve", &score, &code, &output, &state, &batch.n,
                          &batch.single, &found.weight[0], &found.weight[1], &target, &epsilon, &batch.lower,
                          &batch.upper, &batch.least, &batch.most, &batch.free_lower, &batch.free_upper))
        return NULL;
    batch.score = (const void *)(uintptr_t)score;
    batch.code = (const int64_t *)(uintptr_t)code;
    int status;
    Py_BEGIN_ALLOW_THREADS;
    status = search(&batch, epsilon, target, &found);
    if (status == 1)
        write_outputs(&batch, &found, (void *)(uintptr_t)output, (uint8_t *)(uintptr_t)state);
    Py_END_ALLOW_THREADS;
    if (status < 0)
        return PyErr_NoMemory();
    if (!status)
        Py_RETURN_NONE;
    return Py_BuildValue("(dd)d", found.weight[0], found.weight[1], found.multiplier);
}

static PyObject *pull_back(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long gradient, state, by_score;
    Py_ssize_t n;
    int single;
    double weight[2], right;
    if (!PyArg_ParseTuple(args, "KKKnp(dd):pull_back", &gradient, &state, &by_score, &n, &single, &weight[0],
                          &weight[1]))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    right = pull((const void *)(uintptr_t)gradient, single, (const uint8_t *)(uintptr_t)state, n, weight,
                 (void *)(uintptr_t)by_score);
    Py_END_ALLOW_THREADS;
    return PyFloat_FromDouble(right);
}

static PyMethodDef methods[] = {
    {"solve", solve, METH_VARARGS,
     "solve(score, code, output, state, n, single, weights, target, epsilon, box, output_bounds, free_bounds)\n--\n\n"
     "Write outputs and states of n rows; return the weights and the multiplier, None if this search gives up."},
    {"pull_back", pull_back, METH_VARARGS,
     "pull_back(gradient, state, by_score, n, single, weights)\n--\n\n"
     "Write the gradient by n scores; return that by the contrast's target."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_pair", "One contrast of two groups, compiled.", 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__pair(void) { return PyModuleDef_Init(&module); }
