// Holds the headers that the tests share, precompiled (tests/CMakeLists.txt), and nothing else.
int main() { return 0; }
