// Holds GoogleTest's headers, precompiled (tests/CMakeLists.txt), and nothing else.
int main() { return 0; }
