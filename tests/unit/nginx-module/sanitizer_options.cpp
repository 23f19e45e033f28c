// Read by the thread sanitizer's runtime at its start. libzmq is not built with it: its own hand-over between
// threads, lock-free queues, looks like races from outside.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "called_from_lib:libzmq.so\nrace:libzmq.so\n"; }
