/* filter.c: which names of a tree are meant: patterns as in a .gitignore.
 *
 * - A pattern without a slash, or with one at its end only, is held against the last part of the path; any
 *   other against the whole path below the root. A slash at its beginning says just that.
 * - A slash at its end: directories only.
 * - `*` is any bytes but a slash, `?` one of them, `[a-z]` one of a set, `[!a-z]` and `[^a-z]` one not of it,
 *   a backslash takes the next byte as it is. `**` between slashes, or at an end, is any number of directories.
 * - `!` at the beginning takes back what a pattern before it said: the last one that matches decides.
 * - What is below a directory that is left out is never looked at, so it cannot be brought back.
 * - Bytes are compared, not characters, as in git: names are bytes.
 *
 * An entry is left out if `exclude` matches it. With `include`, a file (whatever is no directory) must also
 * match, or lie in a directory that does; directories that do not match are gone through all the same. */
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    bool negated, directory, anchored;
    const char *text;
};

struct fc_filter {
    unsigned n[2];
    bool needs_path;
    struct pattern *patterns[2]; /* exclude, include */
    char *text;
};

/* ---- one pattern ------------------------------------------------------------------------------ */

/* One byte of a set whose '[' is at *p; moves *p behind its ']'. A set that has no end is just a '['. */
static bool in_set(const char **p, unsigned char c)
{
    const char *at = *p + 1;
    bool negated = *at == '!' || *at == '^', found = false;
    at += negated;
    for (bool first = true; first || *at != ']'; first = false) {
        unsigned char low, high;
        at += at[0] == '\\' && at[1] != '\0';
        if (*at == '\0') {
            ++*p;
            return c == '[';
        }
        low = high = (unsigned char)*at++;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            at++;
            at += at[0] == '\\' && at[1] != '\0';
            high = (unsigned char)*at++;
        }
        found |= low <= c && c <= high;
    }
    *p = at + 1;
    return found != negated && c != '/';
}

static bool one(const char **p, char c)
{
    switch (**p) {
    case '\0':
        return false;
    case '?':
        ++*p;
        return c != '/';
    case '[':
        return in_set(p, (unsigned char)c);
    case '\\':
        *p += (*p)[1] != '\0';
        break;
    }
    return *(*p)++ == c;
}

/* No recursion: only the last `*`, and the last double one, can be the one that must take more. */
static bool matches(const char *pattern, const char *s)
{
    const char *p = pattern, *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
    for (;;) {
        bool start = p == pattern || p[-1] == '/';
        const char *before = p;
        if (start && strncmp(p, "**/", 3) == 0) {
            deep = p += 3;
            deep_at = s;
            star = NULL;
            continue;
        }
        if (start && strcmp(p, "**") == 0)
            return *s != '\0';
        if (*p == '*') {
            while (*p == '*')
                p++;
            star = p;
            star_at = s;
            continue;
        }
        if (*s == '\0' && *p == '\0')
            return true;
        if (*s != '\0' && one(&p, *s)) {
            s++;
            continue;
        }
        p = before;
        if (star != NULL && *star_at != '\0' && *star_at != '/') {
            s = ++star_at;
            p = star;
        } else if (deep != NULL && (deep_at = strchr(deep_at, '/')) != NULL) {
            s = ++deep_at;
            p = deep;
            star = NULL;
        } else {
            return false;
        }
    }
}

/* ---- a list ----------------------------------------------------------------------------------- */

static char *compile(struct pattern *p, const char *given, char *room)
{
    size_t n = strlen(given);
    p->negated = given[0] == '!';
    given += p->negated;
    n -= p->negated;
    p->directory = n > 0 && given[n - 1] == '/';
    n -= p->directory;
    p->anchored = memchr(given, '/', n) != NULL;
    if (n > 0 && given[0] == '/')
        given++, n--;
    p->text = memcpy(room, given, n);
    room[n] = '\0';
    return room + n + 1;
}

int fc_filter_make(const char *const *exclude, unsigned n_exclude, const char *const *include,
                   unsigned n_include, struct fc_filter **out)
{
    size_t room = 1;
    const char *const *given[2] = {exclude, include};
    struct fc_filter *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -ENOMEM;
    f->n[0] = n_exclude;
    f->n[1] = n_include;
    for (int list = 0; list < 2; list++) {
        f->patterns[list] = calloc(f->n[list] + 1, sizeof(struct pattern));
        for (unsigned i = 0; i < f->n[list]; i++)
            room += strlen(given[list][i]) + 1;
    }
    f->text = malloc(room);
    if (f->patterns[0] == NULL || f->patterns[1] == NULL || f->text == NULL) {
        fc_filter_free(f);
        return -ENOMEM;
    }
    char *text = f->text;
    for (int list = 0; list < 2; list++) {
        for (unsigned i = 0; i < f->n[list]; i++) {
            text = compile(&f->patterns[list][i], given[list][i], text);
            f->needs_path |= f->patterns[list][i].anchored;
        }
    }
    *out = f;
    return 0;
}

void fc_filter_free(struct fc_filter *f)
{
    if (f == NULL)
        return;
    free(f->patterns[0]);
    free(f->patterns[1]);
    free(f->text);
    free(f);
}

static bool listed(const struct fc_filter *f, int list, const char *name, const char *path, bool directory)
{
    for (unsigned i = f->n[list]; i-- > 0;) {
        const struct pattern *p = &f->patterns[list][i];
        if ((directory || !p->directory) && matches(p->text, p->anchored ? path : name))
            return !p->negated;
    }
    return false;
}

bool fc_filter_needs_path(const struct fc_filter *f)
{
    return f->needs_path;
}

enum fc_verdict fc_filter_judge(const struct fc_filter *f, const char *name, const char *path, bool directory,
                                bool inside)
{
    if (listed(f, 0, name, path, directory))
        return FC_LEFT_OUT;
    if (f->n[1] == 0 || inside || listed(f, 1, name, path, directory))
        return FC_MEANT;
    return directory ? FC_GONE_THROUGH : FC_LEFT_OUT;
}
