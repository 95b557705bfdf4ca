# cython: language_level=3, binding=True, freethreading_compatible=True
"""The binding: marshalling only. Each function converts, calls the core once without the GIL, converts back."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear, PyErr_SetNone
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.object cimport PyObject
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strlen
from posix.fcntl cimport O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY

import errno as _errno
import os

from fastcopy.csrc cimport *

from . import errors as _errors


cdef extern from "fcntl.h" nogil:
    int AT_FDCWD, O_CLOEXEC

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object)
    int PySys_Audit(const char *event, const char *format, ...) except -1
    int _try_audit "PySys_Audit" (const char *event, const char *format, ...) noexcept


# ---- names ---------------------------------------------------------------------------------------------

cdef str _text(const char *s):
    return None if s is NULL else s.decode()

cdef str _engine(int engine):
    return _text(fc_engine_name(engine))

ENGINES = tuple(_engine(i) for i in range(FC_ENGINE_COUNT))
CODES = {_text(fc_code_name(i)): fc_code_errno(i) for i in range(1, FC_CODE_COUNT)}
OPERATIONS = tuple(_text(fc_op_name(i)) for i in range(FC_OP_COUNT))
HAS_FAULTS = bool(HAS_FAULTS_)

# The words of the enums of fastcopy.h, in their order.
cdef tuple _WHEN = ("auto", "always", "never")
cdef tuple _CACHE = ("auto", "keep", "drop")
cdef tuple _SYNC = ("none", "data", "full")
cdef tuple _VERIFY = ("none", "auto", "compare", "hash", "media")
cdef tuple _PHASES = ("copy", "verify", "sync")
cdef tuple _DIGESTS = (None, "written", "reread")
cdef tuple _AT = ("both", "source", "destination")
cdef tuple _EXISTING = ("overwrite", "fail", "skip", "update", "older")
cdef tuple _SPECIAL = ("skip", "fail", "recreate")
cdef tuple _ORDER = ("as_found", "smallest_first", "largest_first")
cdef tuple _KINDS = ("file", "directory", "symlink", "special", "unknown")
cdef tuple _FATES = (
    *((fate, None) for fate in ("copied", "cloned", "linked", "made", "entered", "failed")),
    *(("skipped", why) for why in ("filter", "size", "special", "exists", "up_to_date")),
)
# And of those that are bits, from the lowest.
cdef tuple _PRESERVE = ("mode", "times", "owner", "xattr")
cdef tuple _WARNINGS = ("mode", "times", "owner", "xattr", "ctime", "changed", "setid")
cdef tuple _FS_FLAGS = ("local", "network", "streams", "clones", "memory", "pseudo", "cow", "compresses", "fragile",
                        "modeless")

cdef tuple _words(tuple names, unsigned bits):
    return tuple(name for i, name in enumerate(names) if bits & (1 << i))

cdef unsigned _bits(tuple names, words) except? 0xFFFF:
    cdef unsigned bits = 0
    for word in words:
        if word in names:
            bits |= 1u << <unsigned>names.index(word)
    return bits


# ---- options -------------------------------------------------------------------------------------------

@cython.final
@cython.freelist(8)
cdef class Options:
    cdef fc_options c

    def __init__(
        self,
        *,
        engine=None,
        reflink="auto",
        sparse="auto",
        cache="auto",
        sync="none",
        verify="none",
        bint digest=False,
        bint atomic=True,
        bint keep_failed=False,
        on_change="error",
        bint no_zero_copy=False,
        preserve=frozenset(("mode", "times")),
        required=frozenset(),
        unsigned withhold=0,
        unsigned workers=0,
        int split_depth=-1,
        uint64_t parallel_threshold=0,
        uint64_t min_region=0,
        uint64_t chunk=0,
        uint64_t window=0,
        unsigned flush_every=0,
    ):
        cdef fc_options *c = &self.c
        fc_options_init(c)
        if engine is not None:
            c.engine = ENGINES.index(engine)
        c.reflink = _WHEN.index(reflink)
        c.sparse = _WHEN.index(sparse)
        c.cache = _CACHE.index(cache)
        c.sync = _SYNC.index(sync)
        c.verify = _VERIFY.index(verify)
        c.digest = digest
        c.atomic = atomic
        c.keep_failed = keep_failed
        c.on_change_warn = on_change == "warn"
        c.no_zero_copy = no_zero_copy
        c.preserve = _bits(_PRESERVE, preserve)
        c.required = _bits(_PRESERVE, required)
        c.withhold = withhold
        c.workers = workers
        c.split_depth = split_depth
        c.parallel_threshold = parallel_threshold
        c.min_region = min_region
        c.chunk = chunk
        c.window = window
        c.flush_every = flush_every


# ---- the numbers of the dispatcher ---------------------------------------------------------------------

cdef dict _numbers(const fc_tuning *t):
    return {
        "one_copy_below": t.one_copy_below,
        "chunk": t.chunk,
        "chunk_network": t.chunk_network,
        "max_workers": t.max_workers,
        "network_workers": t.network_workers,
    }

BUILT_IN = _numbers(&fc_tuning_default)


@cython.final
cdef class Tuning:
    cdef fc_tuning head
    cdef fc_tuning *calibrated  # as many as there are, linked in their order

    def __cinit__(self, calibrated=()):
        cdef fc_tuning *t
        cdef dict numbers
        self.head = fc_tuning_default
        entries = list(calibrated)
        if not entries:
            return
        self.calibrated = <fc_tuning *>calloc(<size_t>len(entries), sizeof(fc_tuning))
        if self.calibrated is NULL:
            raise MemoryError
        for i, (device, changed) in enumerate(entries):
            numbers = BUILT_IN | changed
            t = &self.calibrated[i]
            t[0] = fc_tuning_default
            t.dev = device
            t.one_copy_below = numbers["one_copy_below"]
            t.chunk = numbers["chunk"]
            t.chunk_network = numbers["chunk_network"]
            t.max_workers = numbers["max_workers"]
            t.network_workers = numbers["network_workers"]
            t.next = self.head.next
            self.head.next = t

    def __dealloc__(self):
        free(self.calibrated)


include "_listener.pxi"


# ---- failures ------------------------------------------------------------------------------------------

cdef object _why(const fc_error *e):
    if e.why is not NULL:
        return _text(e.why)
    if e.cause != 0:
        return f"the kernel answered {_errno.errorcode.get(e.cause, e.cause)} ({os.strerror(e.cause)})"
    return None

cdef object _exception(const fc_error *e, src, dst, kept, bint as_shutil, digests=None):
    # What shutil would have met too is told as shutil tells it: without a code of ours.
    code = None if as_shutil and e.op >= 0 else _text(fc_code_name(e.code))
    return _errors.from_core(
        e.err, code, _text(fc_op_name(e.op)), _engine(e.engine), e.offset, _AT[e.at], _why(e), src, dst, kept, digests
    )


# ---- words for structures ------------------------------------------------------------------------------

cdef dict _end_facts(const fc_end_facts *e):
    return {
        "fs": _text(fc_fs_name(e.fs)),
        "flags": _words(_FS_FLAGS, e.fs_flags),
        "dev": e.id.dev,
        "ino": e.id.ino,
        "size": e.id.size,
        "mtime_ns": e.id.mtime_ns,
        "ctime_ns": e.id.ctime_ns,
        "mode": e.mode,
        "uid": e.uid,
        "gid": e.gid,
        "allocated": e.allocated,
        "dio_memory": e.dio_memory,
        "dio_offset": e.dio_offset,
        "exists": bool(e.exists),
        "rotational": bool(e.rotational),
        "free_bytes": None if e.free_bytes == <uint64_t>-1 else e.free_bytes,
    }

cdef dict _facts(const fc_facts *f, unsigned batch_cpus):
    return {
        "src": _end_facts(&f.src),
        "dst": _end_facts(&f.dst),
        "machine": {
            "cpus": f.machine.cpus,
            "batch_cpus": batch_cpus,
            "memory_available": f.machine.memory_available,
            "kernel": f.machine.kernel,
        },
        "looked_at_machine": bool(f.looked_at_machine),
        "resident": f.resident,
        "dirty": f.dirty,
        "data_bytes": f.data_bytes,
        "replaces": bool(f.replaces),
    }

cdef dict _choice(const fc_plan *p):
    return {
        "engine": _engine(p.ladder[0]) if p.rungs else None,
        "ladder": tuple(_engine(p.ladder[i]) for i in range(p.rungs)),
        "reason": _text(fc_reason_name(p.reason)),
        "reason_text": _text(fc_reason_text(p.reason)),
        "workers": p.workers,
        "workers_reason": _text(fc_reason_name(p.workers_reason)),
        "workers_reason_text": _text(fc_reason_text(p.workers_reason)),
        "split_depth": p.split_depth,
        "min_region": p.min_region,
        "chunk": p.chunk,
        "window": p.window,
        "read_chunk": p.read_chunk,
        "align": p.align,
        "flush_every": p.flush_every,
        "size": p.size,
        "small": bool(p.small),
        "has_holes": bool(p.has_holes),
        "find_zeros": bool(p.find_zeros),
        "preallocate": bool(p.preallocate),
        "keep_blocks": bool(p.keep_blocks),
        "drop_cache": bool(p.drop_cache),
        "in_place": bool(p.in_place),
        "to_eof": bool(p.to_eof),
        "calibrated": bool(p.calibrated),
        "verify": _VERIFY[p.verify],
        "digest": bool(p.digest),
        "readers": p.readers,
    }

cdef dict _report(const fc_report *r):
    return {
        "bytes": r.bytes,
        "written": r.written,
        "elapsed": r.elapsed_ns * 1e-9,
        "engine": _engine(r.engine),
        "attempts": tuple(
            (_engine(r.attempts[i].engine), r.attempts[i].err, r.attempts[i].offset) for i in range(r.attempt_count)
        ),
        "workers": r.workers,
        "regions": r.regions,
        "windows": r.windows,
        "flushes": r.flushes,
        "buffer_bytes": r.buffer_bytes,
        "mapped_bytes": r.mapped_bytes,
        "warnings": _words(_WARNINGS, r.warnings),
        "digest_of": _DIGESTS[r.digest_of],
        "both_read": bool(r.both_read),
        "verified": bool(r.verified),
        "verify_elapsed": r.verify_ns * 1e-9,
    }


cdef dict _with_digest(dict report, _Listener listener):
    of = report["digest_of"]
    report["digest"] = None if of is None else listener.digests[of]
    return report


# ---- reading -------------------------------------------------------------------------------------------

def read_in_order(int fd, update, tick):
    cdef _Listener listener = _Listener(tick, lambda: None)
    cdef fc_report report
    cdef int rc
    listener.hooks.begin = _begin_given
    listener.update = update
    with nogil:
        rc = fc_read_in_order(fd, &fc_tuning_default, &listener.hooks, &report)
    listener.raise_if_failed()
    if rc != 0:
        raise OSError(report.error.err, os.strerror(report.error.err))
    return report.bytes


cdef int _begin_given(void *arg, fc_digest which) noexcept nogil:
    return 0


def compare_fds(int a, int b, tick):
    cdef _Listener listener = _Listener(tick)
    cdef fc_report report
    cdef uint64_t differs = 0
    cdef int rc
    with nogil:
        rc = fc_compare_fds(a, b, &fc_tuning_default, &listener.hooks, &report, &differs)
    listener.raise_if_failed()
    if rc != 0:
        raise OSError(report.error.err, os.strerror(report.error.err))
    return None if differs == <uint64_t>-1 else differs


# ---- the transfer door ---------------------------------------------------------------------------------

@cython.final
cdef class Plan:
    cdef fc_options c_options
    cdef fc_facts c_facts
    cdef fc_plan c_plan
    cdef bytes c_src, c_dst
    cdef bint fresh
    cdef readonly object src, dst

    cdef fc_request request(self):
        return fc_request(
            AT_FDCWD, PyBytes_AS_STRING(self.c_src), AT_FDCWD, PyBytes_AS_STRING(self.c_dst), True, self.fresh
        )

    def facts(self):
        return _facts(&self.c_facts, self.c_options.batch_cpus)

    def choice(self):
        return _choice(&self.c_plan)

    def run(self, tick=None, new=None):
        cdef fc_request request = self.request()
        cdef _Listener listener = _Listener(tick, new)
        cdef fc_report report
        cdef int rc
        with nogil:
            rc = fc_transfer_run(&request, &self.c_options, &self.c_plan, &listener.hooks, &report)
        kept = _text(report.kept_name) or None
        listener.raise_if_failed(kept)
        if rc != 0:
            raise _exception(&report.error, self.src, self.dst, kept, False, listener.digests)
        return _with_digest(_report(&report), listener)


def plan(src, dst, Options options not None, Tuning tuning not None, bint fresh=False):
    cdef Plan made = Plan.__new__(Plan)
    cdef fc_request request
    cdef fc_error error
    cdef int rc
    made.src, made.dst, made.fresh = src, dst, fresh
    made.c_src, made.c_dst = os.fsencode(src), os.fsencode(dst)
    made.c_options = options.c
    made.c_options.batch_cpus = fc_batch_cpus()  # holding the GIL, where there is one: os.environ is written under it
    request = made.request()
    with nogil:
        rc = fc_transfer_plan(
            &request, &made.c_options, &tuning.head, &made.c_facts, &made.c_plan, &error
        )
    if rc != 0:
        raise _exception(&error, src, dst, None, False)
    return made


# ---- trees ---------------------------------------------------------------------------------------------

cdef int _conduct_tree(void *arg, const fc_progress *p) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    try:
        PyErr_CheckSignals()
        if listener.tick is not None:
            path = b"" if p.path is NULL else <bytes>p.path
            listener.tick(p.bytes, p.total, p.files, p.files_total, path)
    except BaseException as error:
        listener.error = error
        return 1
    return 0


cdef int _told(void *arg, fc_entries *e) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    cdef const fc_entry *entry
    batch = []
    try:
        while (entry := fc_entries_take(e)) is not NULL:
            outcome, why = _FATES[entry.fate]
            batch.append((<bytes>entry.path, _KINDS[entry.kind], outcome, why, entry.size, entry.err))
        listener.told(batch)
    except BaseException as error:
        listener.error = error
        return 1
    return 0


@cython.final
cdef class Filter:
    cdef fc_filter *c

    def __cinit__(self, tuple without not None, tuple only not None):
        cdef unsigned n = <unsigned>len(without), m = <unsigned>len(only)
        cdef const char **patterns = <const char **>calloc(n + m + 1, sizeof(char *))
        if patterns is NULL:
            raise MemoryError
        for i, pattern in enumerate(without + only):
            patterns[i] = PyBytes_AS_STRING(pattern)
        cdef int rc = fc_filter_make(patterns, n, patterns + n, m, &self.c)
        free(patterns)
        if rc != 0:
            raise MemoryError

    def __dealloc__(self):
        fc_filter_free(self.c)


cdef dict _tree_report(const fc_tree_report *r):
    cdef const fc_error *e
    cdef unsigned i
    errors = []
    for i in range(r.errors_kept):
        e = &r.errors[i].error
        path = b"" if r.errors[i].path is NULL else <bytes>r.errors[i].path
        code = _text(fc_code_name(e.code))
        errors.append((path, _text(fc_op_name(e.op)), e.err, code, _AT[e.at], _why(e)))
    report = dict(r.counts)
    report.update(
        error_count=r.error_count,
        errors=errors,
        warnings=_words(_WARNINGS, r.warnings),
        workers=r.workers,
        elapsed=r.elapsed_ns * 1e-9,
        buffer_bytes=r.buffer_bytes,
    )
    return report


def tree(
    src,
    dst,
    Options options not None,
    Tuning tuning not None,
    *,
    tick=None,
    told=None,
    size_t told_room=0,
    existing="overwrite",
    special="skip",
    order="as_found",
    bint follow=False,
    bint links=False,
    bint one_filesystem=False,
    bint dry_run=False,
    bint stop_on_error=False,
    bint as_shutil=False,
    uint64_t min_size=0,
    max_size=None,
    unsigned errors_kept=1000,
    Filter filter=None,
):
    cdef bytes c_src = os.fsencode(src), c_dst = os.fsencode(dst)
    cdef fc_tree_request request = fc_tree_request(PyBytes_AS_STRING(c_src), PyBytes_AS_STRING(c_dst))
    cdef _Listener listener = _Listener(tick)
    cdef fc_tree_options o
    cdef fc_tree_report report
    cdef int rc
    fc_tree_options_init(&o)
    o.file = options.c
    o.file.batch_cpus = fc_batch_cpus()
    o.existing = _EXISTING.index(existing)
    o.special = _SPECIAL.index(special)
    o.order = _ORDER.index(order)
    o.follow, o.links, o.one_filesystem = follow, links, one_filesystem
    o.dry_run, o.stop_on_error, o.as_shutil = dry_run, stop_on_error, as_shutil
    o.min_size = min_size
    if max_size is not None:
        o.max_size = max_size
    o.errors_kept = errors_kept
    if filter is not None:
        o.filter = filter.c
    o.told_room = told_room
    listener.hooks.conduct = _conduct_tree
    if told is not None:
        listener.told, listener.hooks.told = told, _told
    with nogil:
        rc = fc_tree_run(&request, &o, &tuning.head, &listener.hooks, &report)
    if listener.error is not None and rc != -_errno.EOWNERDEAD:
        fc_tree_report_free(&report)
    listener.raise_if_failed()
    try:
        if rc != 0:
            raise _exception(&report.refused, src, dst, None, False)
        return _tree_report(&report)
    finally:
        if rc != -_errno.EOWNERDEAD:
            fc_tree_report_free(&report)


def capabilities(path):
    cdef bytes name = os.fsencode(path)
    cdef const char *c_name = PyBytes_AS_STRING(name)
    cdef fc_facts facts
    cdef int rc
    with nogil:
        rc = fc_facts_of_directory(AT_FDCWD, c_name, &facts)
    if rc != 0:
        raise OSError(-rc, os.strerror(-rc), path)
    return {_engine(i): _text(fc_engine_refuses(i, &facts)) for i in range(FC_ENGINE_COUNT)}


# ---- the shutil door -----------------------------------------------------------------------------------

def copy_fds(int src_fd, int dst_fd, Options options not None, Tuning tuning not None, tick, src, dst, new=None):
    cdef fc_options o = options.c
    cdef _Listener listener = _Listener(tick, new)
    cdef fc_report report
    cdef fc_plan p
    cdef int rc
    o.to_eof = True
    o.batch_cpus = fc_batch_cpus()
    with nogil:
        rc = fc_copy_fds(src_fd, dst_fd, &o, &tuning.head, &listener.hooks, &p, &report)
    listener.raise_if_failed()
    if rc != 0:
        raise _exception(&report.error, src, dst, None, True, listener.digests)
    result = _with_digest(_report(&report), listener)
    result["choice"] = _choice(&p)
    return result


cdef bytes _encode(path):
    """os.fsencode, without its price."""
    return <bytes>path if type(path) is bytes else PyUnicode_EncodeFSDefault(path)


@cython.final
@cython.freelist(8)
cdef class _Audit:
    """The audit events of one shutil.copyfile: its own, and the two of the builtin open."""

    cdef object src, dst, source, destination
    cdef object find_tuning
    cdef Tuning tuning
    cdef object error


cdef int _audit(void *arg, fc_audit event) noexcept with gil:
    cdef _Audit a = <_Audit>arg
    try:
        if event == FC_AUDIT_COPYFILE:
            PySys_Audit(b"shutil.copyfile", b"OO", <PyObject *>a.src, <PyObject *>a.dst)
        elif event == FC_AUDIT_OPEN_SOURCE:
            PySys_Audit(b"open", b"Osi", <PyObject *>a.source, b"r", <int>(O_RDONLY | O_CLOEXEC))
        else:
            PySys_Audit(b"open", b"Osi", <PyObject *>a.destination, b"w",
                        <int>(O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC))
    except BaseException as error:
        a.error = error
        return 1
    return 0


cdef const fc_tuning *_find_tuning(void *arg) noexcept with gil:
    cdef _Audit a = <_Audit>arg
    try:
        a.tuning = a.find_tuning()
        return &a.tuning.head
    except BaseException as error:
        a.error = error
        return NULL


cdef PyObject *_no_argument(void *unused) noexcept:
    PyErr_SetNone(StopIteration)
    return NULL


cdef bint _somebody_audits() noexcept:
    """Whether there is an audit hook. An event is put together only for hooks to see, and is dropped if that fails."""
    if _try_audit(b"fastcopy.never", b"O&", <void *>_no_argument, <void *>NULL) == 0:
        return False
    PyErr_Clear()
    return True


def somebody_audits():
    return _somebody_audits()


def copyfile(src, dst, tuning):
    cdef bytes c_src, c_dst
    cdef _Audit audit = _Audit()
    try:
        audit.source, audit.destination = os.fspath(src), os.fspath(dst)
        c_src, c_dst = _encode(audit.source), _encode(audit.destination)
    except (TypeError, UnicodeError):  # an open descriptor, or nothing that names a file: shutil words it
        return False
    cdef fc_copyfile_request request
    request.src, request.dst = PyBytes_AS_STRING(c_src), PyBytes_AS_STRING(c_dst)
    request.arg = <void *>audit
    request.audit = NULL
    if _somebody_audits():
        request.audit = _audit
    if strlen(request.src) != <size_t>len(c_src) or strlen(request.dst) != <size_t>len(c_dst):
        return False
    audit.src, audit.dst = src, dst
    request.tuning = NULL
    cdef const fc_tuning *numbers = &fc_tuning_default
    if type(tuning) is Tuning:
        numbers = &(<Tuning>tuning).head
    else:
        audit.find_tuning = tuning
        request.tuning = _find_tuning
    cdef _Listener listener = _Listener(None)
    cdef fc_options o
    cdef fc_report report
    cdef fc_plan p
    cdef int rc
    fc_options_init(&o)
    o.atomic = False
    o.to_eof = True
    o.preserve = 0
    o.batch_cpus = fc_batch_cpus()
    with nogil:
        rc = fc_copyfile(&request, &o, numbers, &listener.hooks, &p, &report)
    if rc == 0:
        return True
    if rc == FC_NOT_ORDINARY:
        return False
    if audit.error is not None:
        error, audit.error = audit.error, None
        raise error
    listener.raise_if_failed()
    if report.error.op == FC_OP_open:  # the builtin names the one file that it could not open
        path = audit.source if report.error.at == FC_AT_SOURCE else audit.destination
        raise OSError(report.error.err, os.strerror(report.error.err), path)
    raise _exception(&report.error, audit.source, audit.destination, None, True)


include "_seam.pxi"
