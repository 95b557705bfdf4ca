# What only the tests ask for: parts of the core by themselves, and, in the test build, faults. A part of _core.pyx.

def region_split(uint64_t size, unsigned depth, uint64_t min_region):
    cdef fc_span *leaves = NULL
    cdef unsigned count = 0
    cdef int rc = fc_regions_split(size, depth, min_region, &leaves, &count)
    if rc != 0:
        raise OSError(-rc, os.strerror(-rc))
    try:
        return [(leaves[i].at, leaves[i].end) for i in range(count)]
    finally:
        free(leaves)


# ---- invented facts ------------------------------------------------------------------------------------

cdef int _read_end(dict given, fc_end_facts *e) except -1:
    names = [_text(fc_fs_name(i)) for i in range(FC_FS_COUNT)]
    e.fs = names.index(given.get("fs", "unknown"))
    e.fs_flags = _bits(_FS_FLAGS, given["flags"]) if "flags" in given else fc_fs_flags(e.fs)
    e.id.dev = given.get("dev", 0)
    e.id.ino = given.get("ino", 0)
    e.id.size = given.get("size", 0)
    e.id.mtime_ns = given.get("mtime_ns", 0)
    e.id.ctime_ns = given.get("ctime_ns", 0)
    e.mode = given.get("mode", 0)
    e.uid = given.get("uid", 0)
    e.gid = given.get("gid", 0)
    e.allocated = given.get("allocated", 0)
    e.dio_memory = given.get("dio_memory", 0)
    e.dio_offset = given.get("dio_offset", 0)
    e.exists = given.get("exists", False)
    e.rotational = given.get("rotational", False)
    free_bytes = given.get("free_bytes")
    e.free_bytes = <uint64_t>-1 if free_bytes is None else free_bytes
    return 0


def plan_from_facts(dict facts not None, Options options not None, Tuning tuning not None):
    cdef fc_facts f
    cdef fc_plan p
    cdef fc_error e
    cdef fc_options o = options.c
    memset(&f, 0, sizeof(f))
    _read_end(facts.get("src", {}), &f.src)
    _read_end(facts.get("dst", {}), &f.dst)
    machine = facts.get("machine", {})
    f.machine.cpus = machine.get("cpus", 0)
    f.machine.memory_available = machine.get("memory_available", 0)
    f.machine.kernel = machine.get("kernel", 0)
    o.batch_cpus = machine.get("batch_cpus", 0)
    f.looked_at_machine = facts.get("looked_at_machine", True)
    f.resident = facts.get("resident", 0)
    f.dirty = facts.get("dirty", 0)
    f.data_bytes = facts.get("data_bytes", 0)
    if fc_plan_make(&f, &o, &tuning.head, &p, &e) != 0:
        raise _exception(&e, "source", "destination", None, False)
    return _choice(&p)


# ---- faults --------------------------------------------------------------------------------------------

cdef tuple _FAULTS = ("errno", "short", "delay", "flip")


def faults_set(list script not None):
    cdef fc_fault faults[32]
    if not HAS_FAULTS:
        raise RuntimeError("this is not the test build")
    if len(script) > 32:
        raise ValueError("a script has at most 32 rules")
    for i, (operation, nth, for_ever, kind, value) in enumerate(script):
        faults[i].op = OPERATIONS.index(operation)
        faults[i].nth = nth
        faults[i].for_ever = for_ever
        faults[i].kind = _FAULTS.index(kind)
        faults[i].value = value
    fc_faults_set(faults, <unsigned>len(script))


def faults_calls(operation):
    return fc_faults_calls(OPERATIONS.index(operation))


def faults_struck(unsigned index):
    return fc_faults_struck(index)
