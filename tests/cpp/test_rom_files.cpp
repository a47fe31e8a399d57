// ROM files that are no game of ALE's, or one in a cartridge that none of its games has. ALE ends
// the process where it cannot load one.
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "check.hpp"
#include "emulator/console.hpp"
#include "saved_console.hpp"

using namespace actormimic;

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& game) {
  std::ifstream file(std::string(ACTORMIMIC_TEST_ROMS) + "/" + game + ".bin", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file that ALE knows by its name, or not. Of games with modes it would wait for a mode to show.
class RomFile {
 public:
  explicit RomFile(const std::string& bytes, const std::string& name = "krull.bin")
      : folder_(fs::temp_directory_path() / ("actormimic_roms_" + std::to_string(getpid()))),
        path_((folder_ / name).string()) {
    fs::create_directory(folder_);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~RomFile() { fs::remove_all(folder_); }
  RomFile(const RomFile&) = delete;
  RomFile& operator=(const RomFile&) = delete;

  void compress(const std::string& bytes) const {
    const gzFile file = gzopen(path_.c_str(), "wb");
    CHECK(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
    CHECK(gzclose(file) == Z_OK);
  }
  GameChoice game() const { return {"krull", path_, -1, -1}; }
  const std::string& path() const { return path_; }

  // Empty if it loads, else the problem.
  std::string problem() const {
    try {
      Console(game(), 0.0f, Emulation::kFast);
    } catch (const std::invalid_argument& problem) {
      return problem.what();
    }
    return "";
  }

 private:
  fs::path folder_;
  std::string path_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(a_file_that_is_no_cartridge_is_refused) {
  CHECK(contains(RomFile(std::string(1000, 'x')).problem(), "1000 bytes is no cartridge"));
  // Programs that switch banks of a cartridge which has none.
  CHECK(contains(RomFile("\x85\x3f..\x85\x3f.." + std::string(1000, 'x')).problem(),
                 "1008 bytes is no cartridge"));
  CHECK(contains(RomFile("").problem(), "is empty"));
  CHECK(RomFile(bytes_of("pong"), "nobody_knows.bin").problem().empty());
  CHECK(contains(RomFile(std::string(2048, 'x'), "nobody_knows.bin").problem(),
                 "is not a game that ALE supports"));
}

TEST(a_compressed_game_is_known_by_what_is_in_it) {
  const std::string bytes = bytes_of("pong");
  const RomFile file("", "nobody_knows.gz");
  file.compress(bytes);
  Console console(file.game(), 0.0f, Emulation::kFast);
  CHECK(console.emulation() == Emulation::kFast);
  console.power_on(3);
  file.compress(bytes_of("breakout"));
  CHECK_THROWS(console.power_on(3), std::runtime_error);
  file.compress(bytes);
  fs::resize_file(file.path(), fs::file_size(file.path()) - 20);
  CHECK(contains(file.problem(), "cannot be read"));
}

// A program that only loops, in every bank of a cartridge of so many bytes.
std::string looping(std::size_t size) {
  constexpr std::size_t kBank = 0x1000;
  std::string rom(size, '\xea');
  for (std::size_t bank = 0; bank < size; bank += kBank) {
    rom[bank] = static_cast<char>(bank / kBank);  // no RAM here
    rom.replace(bank + 0xb00, 3, std::string("\x4c\x00\xfb", 3));
    rom.replace(bank + 0xffc, 2, std::string("\x00\xfb", 2));
  }
  return rom;
}

TEST(a_frame_that_does_not_end_for_too_long_is_not_saved) {
  constexpr int kMostCycles = 1 << 29;
  const RomFile file(looping(0x1000));
  Console console(file.game(), 0.0f, Emulation::kFast);
  const State begin(console);
  const State late = begin.with_number("System", 0, kMostCycles);
  CHECK(late.load_into(console).empty());
  CHECK(State(console) == late);
  console.act(0, 1.0f);
  std::string problem;
  try {
    State{console};
  } catch (const std::runtime_error& refusal) {
    problem = refusal.what();
  }
  CHECK(contains(problem, "would be refused when it is loaded: cycle 5"));
  console.reset();
  State{console};
}

TEST(other_cartridges_run_on_ale_alone_and_have_no_saved_states) {
  std::string sliced = looping(0x4000), switched = looping(0x2000);
  sliced.replace(0x3800, 0x200, std::string(0x200, '\0'));
  switched.replace(0x100, 3, "\x8d\x40\x02");
  for (const auto& [bytes, kind] :
       {std::pair{looping(0x8000), "CartridgeF4"}, std::pair{looping(0x3000), "CartridgeFASC"},
        std::pair{sliced, "CartridgeE7"}, std::pair{switched, "CartridgeUA"}}) {
    const RomFile file(bytes);
    Console console(file.game(), 0.0f, Emulation::kFast);
    CHECK(console.emulation() == Emulation::kStock);
    console.act(0, 1.0f);
    std::string problem;
    StateWriter out;
    try {
      console.save(out);
    } catch (const std::invalid_argument& refusal) {
      problem = refusal.what();
    }
    CHECK(problem == "games in a " + std::string(kind) + " have no saved states");
  }
}

}  // namespace
