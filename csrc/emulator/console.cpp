#include "emulator/console.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "ale/common/ColourPalette.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/MD5.hxx"
#include "ale/emucore/PropsSet.hxx"
#include "ale/games/Roms.hpp"
#include "common/check.hpp"
#include "emulator/console_impl.hpp"
#include "emulator/paddles.hpp"
#include "emulator/vcs/processor.hpp"

namespace actormimic {
namespace {

// Once, because consoles may be made in several threads and all share ALE's log.
void quiet_ale() {
  [[maybe_unused]] static const bool once = (ale::Logger::setMode(ale::Logger::Error), true);
}

// The cartridge in a file as ALE reads it, which unpacks it where it is compressed and takes no
// more than so many bytes; nothing where the file cannot be read.
std::optional<std::vector<std::uint8_t>> cartridge_in(const std::string& path) {
  constexpr unsigned kMostBytes = 512 * 1024;
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return std::nullopt;
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return std::nullopt;
  std::vector<std::uint8_t> image(kMostBytes);
  const int size = gzread(file, image.data(), kMostBytes);
  if (gzclose(file) != Z_OK || size < 0) return std::nullopt;
  image.resize(static_cast<std::size_t>(size));
  return image;
}

std::string md5_of(const std::vector<std::uint8_t>& image) {
  return ale::stella::MD5(image.data(), static_cast<std::uint32_t>(image.size()));
}

// Whether ALE finds a kind of cartridge for the image.
bool makes_cartridge(const std::vector<std::uint8_t>& image, const std::string& md5,
                     const ale::stella::Settings& settings) {
  ale::stella::Properties properties;
  ale::stella::PropertiesSet().getMD5(md5, properties);
  const std::unique_ptr<ale::stella::Cartridge> cartridge(ale::stella::Cartridge::create(
      image.data(), static_cast<std::uint32_t>(image.size()), properties, settings));
  if (cartridge == nullptr) return false;
  // Two kinds it tells by their programs alone, and would read before the first of their banks.
  const std::string name = cartridge->name();
  constexpr std::size_t kBankBytes = 2048;
  return (name != "Cartridge3E" && name != "Cartridge3F") || image.size() % kBankBytes == 0;
}

template <typename Values>
std::string listed(const Values& values) {
  std::string text;
  for (const auto value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

template <typename Values>
void require_one_of(const char* name, int value, const Values& allowed) {
  require(std::any_of(allowed.begin(), allowed.end(),
                      [&](auto one) { return static_cast<int>(one) == value; }),
          name, " is ", value, "; this game allows: ", listed(allowed));
}

}  // namespace

const char* ale_version() { return ALE_VERSION; }

Console::Console(const GameChoice& game, float repeat_action_probability, Emulation emulation)
    : impl_(std::make_unique<Impl>()) {
  quiet_ale();
  impl_->choice = game;
  impl_->wanted = emulation;
  // ALE ends the process when it cannot load a ROM, so what it would trip over is asked first.
  const auto image = cartridge_in(game.rom_path);
  require(image.has_value(), "ROM file '", game.rom_path, "' cannot be read");
  require(!image->empty(), "ROM file '", game.rom_path, "' is empty");
  impl_->md5 = md5_of(*image);
  const std::unique_ptr<ale::RomSettings> known(ale::buildRomRLWrapper(game.rom_path, impl_->md5));
  require(known != nullptr, "ROM file '", game.rom_path, "' is not a game that ALE supports");
  impl_->ale = std::make_unique<ale::ALEInterface>();
  require(makes_cartridge(*image, impl_->md5, impl_->ale->theOSystem->settings()), "ROM file '",
          game.rom_path, "' with its ", image->size(), " bytes is no cartridge that ALE can load");
  impl_->ale->setBool("color_averaging", false);  // see phosphor_blend.cpp
  impl_->ale->setFloat("repeat_action_probability", repeat_action_probability);
  // Back from ALE, because it keeps settings as text and loses digits on the way.
  impl_->repeat_probability = impl_->ale->getFloat("repeat_action_probability");
  impl_->load_rom(-1);
}

Console::~Console() = default;

void Console::Impl::load_rom(int seed) {
  // The file may have been replaced since it was last looked at.
  const auto image = cartridge_in(choice.rom_path);
  ensure(image.has_value() && md5_of(*image) == md5, "ROM file '", choice.rom_path,
         "' has gone or changed since the environment was made");
  system = nullptr;
  ale->setInt("random_seed", seed);
  ale->loadROM(choice.rom_path);
  if (choice.mode >= 0) {
    require_one_of("mode", choice.mode, ale->getAvailableModes());
    ale->setMode(static_cast<ale::game_mode_t>(choice.mode));
  }
  if (choice.difficulty >= 0) {
    require_one_of("difficulty", choice.difficulty, ale->getAvailableDifficulties());
    ale->setDifficulty(static_cast<ale::difficulty_t>(choice.difficulty));
  }
  find_parts();
}

void Console::Impl::require_loaded() const {
  ensure(system != nullptr, "no game is loaded since its ROM file failed to load");
}

void Console::Impl::require_playable() const {
  require_loaded();
  ensure(!half_loaded, "a saved state that was refused is half loaded: reset first");
}

void Console::Impl::find_parts() {
  osystem = ale->theOSystem.get();
  const auto& properties = osystem->console().properties();
  ensure(properties.get(ale::stella::Cartridge_MD5) == md5, "ROM file '", choice.rom_path,
         "' changed while it was read");
  ale::stella::System& found = osystem->console().system();
  tia = &found.tia();
  const bool fast = wanted == Emulation::kFast && vcs::Processor::install_in(found);
  emulation = fast ? Emulation::kFast : Emulation::kStock;
  media = &osystem->console().mediaSource();
  game = ale->romSettings.get();
  sticky_random = &ale->environment->getEnvironmentRNG();
  paddles = has_paddles(properties);
  for (int a = 0; a < kActions; ++a) legal[a] = game->isLegal(static_cast<ale::Action>(a));
  state = ale->environment->getState();
  held_action = ale::PLAYER_A_NOOP;
  half_loaded = false;
  system = &found;  // last: from here on a game is loaded
}

void Console::power_on(int seed) { impl_->load_rom(seed); }

void Console::reset() {
  impl_->require_loaded();
  ale::StellaEnvironment& environment = *impl_->ale->environment;
  environment.setState(impl_->state);
  environment.reset();
  impl_->state = environment.getState();
  impl_->held_action = ale::PLAYER_A_NOOP;
  impl_->half_loaded = false;
}

int Console::act(int action, float strength) {
  Impl& c = *impl_;
  c.require_playable();
  if (c.repeat_probability > 0.0f) {
    if (c.sticky_random->nextDouble() >= c.repeat_probability) {
      c.held_action = action;
      c.held_strength = strength;
    }
    c.sticky_random->nextDouble();  // player B's draw: the sequence is shared
  } else {
    c.held_action = action;
    c.held_strength = strength;
  }
  if (c.game->isTerminal()) return 0;
  const int pressed = c.legal[c.held_action] ? c.held_action : ale::PLAYER_A_NOOP;
  ale::stella::Event* event = c.osystem->event();
  if (c.paddles) {
    c.state.applyActionPaddles(event, pressed, c.held_strength, ale::PLAYER_B_NOOP, 0.0f);
  } else {
    c.state.applyActionJoysticks(event, pressed, ale::PLAYER_B_NOOP);
  }
  c.media->update();
  c.game->step(*c.system);
  c.system->peek(kLastRamAddress);
  c.state.incrementFrame();
  return c.game->getReward();
}

Emulation Console::emulation() const { return impl_->emulation; }
bool Console::game_over() const { return impl_->loaded().game->isTerminal(); }
int Console::lives() const { return impl_->loaded().game->lives(); }
int Console::frame_number() const { return impl_->state.getFrameNumber(); }
int Console::episode_frame_number() const { return impl_->state.getEpisodeFrameNumber(); }

const std::uint8_t* Console::screen() const { return impl_->loaded().media->currentFrameBuffer(); }
const std::uint8_t* Console::previous_screen() const {
  return impl_->loaded().media->previousFrameBuffer();
}
bool Console::screen_stays() const { return !Pictures::unfinished(*impl_->loaded().tia); }

FrameShape Console::screen_shape() const {
  const ale::stella::MediaSource& media = *impl_->loaded().media;
  return {static_cast<int>(media.height()), static_cast<int>(media.width())};
}

Palette Console::palette() const {
  auto& colors = impl_->loaded().osystem->colourPalette();
  Palette palette;
  std::array<std::uint8_t, 256> indices;
  for (int i = 0; i < 256; ++i) indices[i] = static_cast<std::uint8_t>(i);
  // ALE finds the gray of an index in the table's next entry, which the last index does not have; a
  // PAL game shows it where color loss meets white. ale-py's wheel reads a 0 there.
  colors.applyPaletteGrayscale(palette.gray.data(), indices.data(), 255);
  palette.gray[255] = 0;
  colors.applyPaletteRGB(palette.rgb[0].data(), indices.data(), 256);
  return palette;
}

void Console::copy_ram(std::uint8_t* out) const {
  ale::stella::System& system = *impl_->loaded().system;
  for (int i = 0; i < kRamBytes; ++i) out[i] = system.peek(static_cast<std::uint16_t>(0x80 + i));
}

std::vector<int> Console::minimal_actions() const {
  std::vector<int> actions;
  for (const ale::Action action : impl_->loaded().game->getMinimalActionSet())
    actions.push_back(static_cast<int>(action));
  return actions;
}

}  // namespace actormimic
