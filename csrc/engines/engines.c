/* engines.c: the table of engines, made from engines.def. */
#include "engine.h"

#define ENGINE(name) extern const struct fc_engine fc_engine_##name;
#include "engines.def"
#undef ENGINE

static const struct fc_engine *const engines[FC_ENGINE_COUNT] = {
#define ENGINE(name) &fc_engine_##name,
#include "engines.def"
#undef ENGINE
};

const struct fc_engine *fc_engine_get(int engine)
{
    return engines[engine];
}
