# What the core calls back into, on the calling thread. A part of _core.pyx.

@cython.final
@cython.freelist(8)
cdef class _Listener:
    """What the core calls back into, on the calling thread: signals first, then the caller's tick."""

    cdef object tick
    cdef object told
    cdef object error
    cdef object new  # makes a hasher; None: no digest is wanted
    cdef object update  # of the hasher that is being fed
    cdef dict hashers  # by what they are fed: "written", "reread"
    cdef dict digests  # what they said in the end, in hex
    cdef fc_hooks hooks

    def __cinit__(self, tick, new=None):
        self.tick = tick
        self.new = new
        if new is not None:
            self.hashers, self.digests = {}, {}
            self.hooks.begin, self.hooks.feed, self.hooks.agree = _begin, _feed, _agree
        self.hooks.conduct = _conduct
        self.hooks.arg = <void *>self
        self.hooks.interval_ms = 50  # Ctrl-C is to be heard, and the copy cleaned up, within 0.2 s

    cdef int raise_if_failed(self, kept=None) except -1:
        if self.error is not None:
            error, self.error = self.error, None
            if kept:
                _errors.add_note(error, f"the unpublished copy was left as {kept}")
            raise error
        return 0


cdef int _hear(_Listener listener, const fc_progress *p) except -1:
    PyErr_CheckSignals()
    if listener.tick is not None:
        listener.tick(p.bytes, p.total, _PHASES[p.phase])
    return 0


cdef int _conduct(void *arg, const fc_progress *p) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    try:
        _hear(listener, p)
    except BaseException as error:  # it goes on in raise_if_failed, when the workers have been joined
        listener.error = error
        return 1
    return 0


cdef int _begin(void *arg, fc_digest which) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    try:
        if which == FC_DIGEST_NONE:
            listener.hashers.clear()
            return 0
        hasher = listener.hashers[_DIGESTS[which]] = listener.new()
        listener.update = hasher.update
    except BaseException as error:
        listener.error = error
        return 1
    return 0


@cython.final
@cython.freelist(8)
cdef class _Lent:
    """Memory that is a hasher's for one call. A slice of a memoryview outlives its release(); it is counted here."""

    cdef const unsigned char *p  # NULL: the call is over
    cdef size_t n
    cdef Py_ssize_t held
    cdef fc_memory *kept  # so that what is still held stays memory

    def __getbuffer__(self, Py_buffer *view, int flags):
        with cython.critical_section(self):
            if self.p is NULL:
                raise BufferError("this was lent to update() for one call")
            PyBuffer_FillInfo(view, self, <void *>self.p, <Py_ssize_t>self.n, 1, flags)
            self.held += 1

    def __releasebuffer__(self, Py_buffer *view):
        with cython.critical_section(self):
            self.held -= 1

    def __dealloc__(self):
        fc_memory_drop(self.kept)

    cdef bint is_kept(self, fc_feed *f):
        """The call is over: does anybody still hold a part?"""
        with cython.critical_section(self):
            self.p = NULL
            if self.held != 0:
                self.kept = fc_feed_keep(f)
            return self.kept is not NULL


cdef int _lend(object update, fc_feed *f, const unsigned char *p, size_t n) except -1:
    cdef _Lent lent = _Lent.__new__(_Lent)
    cdef bint kept
    lent.p, lent.n = p, n
    view = memoryview(lent)
    try:
        update(view)
    finally:
        try:
            view.release()  # BufferError: something of it was exported, and that is kept
        finally:
            kept = lent.is_kept(f)
    if kept:
        raise BufferError("the hasher keeps a part of what it was given to update(); it must copy what it keeps")
    return 0


cdef int _feed(void *arg, fc_feed *f) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    cdef const unsigned char *p
    cdef size_t n
    cdef fc_progress progress
    try:
        # The GIL is kept from one stretch to the next: giving it away between them would cost a wait for each.
        while fc_feed_take(f, &p, &n):
            _lend(listener.update, f, p, n)
            if fc_feed_due(f, &progress):
                _hear(listener, &progress)
    except BaseException as error:
        listener.error = error
        return 1
    return 0


cdef int _agree(void *arg) noexcept with gil:
    cdef _Listener listener = <_Listener>arg
    try:
        listener.digests = {which: hasher.hexdigest() for which, hasher in listener.hashers.items()}
        return len(set(listener.digests.values())) <= 1
    except BaseException as error:
        listener.error = error
        return -1
