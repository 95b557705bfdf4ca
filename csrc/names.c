/* names.c: the words for the numbers, made from the same tables as the numbers. */
#include "fastcopy.h"

#include <errno.h>

#define COUNT(a)          ((int)(sizeof(a) / sizeof((a)[0])))
#define LOOK_UP(table, i) ((i) >= 0 && (i) < COUNT(table) ? (table)[i] : NULL)

static const char *const engines[] = {
#define ENGINE(name) #name,
#include "engines/engines.def"
#undef ENGINE
};

static const char *const reasons[] = {
#define REASON(name, text) #name,
#include "reasons.def"
#undef REASON
};

static const char *const reason_texts[] = {
#define REASON(name, text) text,
#include "reasons.def"
#undef REASON
};

static const char *const filesystems[] = {
#define FILESYSTEM(name, magic, flags) #name,
#include "filesystems.def"
#undef FILESYSTEM
};

static const unsigned filesystem_flags[] = {
#define FILESYSTEM(name, magic, flags) flags,
#include "filesystems.def"
#undef FILESYSTEM
};

static const int code_errnos[] = {
    0, /* FC_CODE_NONE */
#define CODE(name, err) err,
#include "errors.def"
#undef CODE
};

static const char *const codes[] = {
    NULL, /* FC_CODE_NONE */
#define CODE(name, err) #name,
#include "errors.def"
#undef CODE
};

static const char *const operations[] = {
#define OP(name) #name,
#include "sys.def"
#undef OP
};

const char *fc_engine_name(int engine)
{
    return LOOK_UP(engines, engine);
}

const char *fc_reason_name(int reason)
{
    return LOOK_UP(reasons, reason);
}

const char *fc_reason_text(int reason)
{
    return LOOK_UP(reason_texts, reason);
}

const char *fc_fs_name(int fs)
{
    return LOOK_UP(filesystems, fs);
}

unsigned fc_fs_flags(int fs)
{
    return fs >= 0 && fs < COUNT(filesystem_flags) ? filesystem_flags[fs] : 0;
}

int fc_code_errno(int code)
{
    return code >= 0 && code < COUNT(code_errnos) ? code_errnos[code] : 0;
}

const char *fc_code_name(int code)
{
    return LOOK_UP(codes, code);
}

const char *fc_op_name(int op)
{
    return LOOK_UP(operations, op);
}
