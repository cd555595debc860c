#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

// A test is a function; main.cc runs all of them. A failed check throws and so ends its test:
// in a thread other than the test's, main must get it (std::async does that).
namespace shm::test {

class CheckFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void Register(const char* file, const char* name, void (*run)());

struct Registration {
  Registration(const char* file, const char* name, void (*run)()) { Register(file, name, run); }
};

template <typename T>
std::string Show(const T& value) {
  std::ostringstream out;
  if constexpr (std::is_enum_v<T>) {
    out << static_cast<long long>(value);
  } else if constexpr (sizeof(T) == 1) {
    out << static_cast<int>(value);
  } else {
    out << value;
  }
  return out.str();
}

[[noreturn]] void Fail(const char* file, int line, const std::string& message);

template <typename A, typename B>
void CheckEqual(const char* file, int line, const char* expression, const A& actual,
                const B& expected) {
  if (!(actual == expected)) {
    Fail(file, line, std::string(expression) + " is " + Show(actual) + ", not " + Show(expected));
  }
}

}  // namespace shm::test

#define TEST(name)                                                                  \
  static void name();                                                               \
  static const ::shm::test::Registration name##_registration(__FILE__, #name, name); \
  static void name()

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) ::shm::test::Fail(__FILE__, __LINE__, #condition " is false"); \
  } while (false)

// Says both values. `expected` is converted to the type of `actual`, so that literals may be plain.
#define CHECK_EQ(actual, expected)                                        \
  ::shm::test::CheckEqual(__FILE__, __LINE__, #actual, (actual),          \
                          static_cast<std::decay_t<decltype(actual)>>(expected))
