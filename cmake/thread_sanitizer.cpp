// Read by the thread sanitizer's runtime at the start of each program that is built with it. libzmq and the other
// libraries are not built with it: their own hand-over between threads, lock-free queues, looks like races from
// outside.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1:second_deadlock_stack=1"; }

extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "called_from_lib:libzmq.so\nrace:libzmq.so\n"; }
