// The pool for Python. Batches are NumPy arrays whose memory the workers write to directly, so each
// array is held here for as long as a worker may write to it.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <memory>

#include "bindings/array_arguments.hpp"
#include "bindings/batch_arrays.hpp"
#include "bindings/bindings.hpp"
#include "common/check.hpp"
#include "pool/pool.hpp"

namespace py = pybind11;

namespace actormimic::bindings {
namespace {

constexpr std::chrono::milliseconds kInterruptCheck{50};  // how soon Ctrl-C ends a wait

// Calls `done`, which waits for a moment, until it returns true. Ctrl-C ends it in between.
template <typename Done>
void wait_until(Done&& done) {
  for (;;) {
    {
      py::gil_scoped_release release;
      if (done(kInterruptCheck)) return;
    }
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

// The elements of a one-dimensional array of `rows`, whatever its strides and alignment.
template <typename Element, typename Out>
void read_rows(const py::array& array, std::vector<Out>& out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Element element;
    std::memcpy(&element, array.data(static_cast<py::ssize_t>(i)), sizeof element);
    out[i] = element;
  }
}

// One thread at a time may be in a pool's calls. The GIL does not see to it: they release it while
// the pool works, and a second thread would then change what the first has lent to the workers.
class Turn {
 public:
  explicit Turn(bool& taken) : taken_(taken) {
    ensure(!taken, "the pool is in use by another thread: one call at a time");
    taken_ = true;
  }
  ~Turn() { taken_ = false; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool& taken_;  // changed with the GIL held only
};

class PyPool {
 public:
  PyPool(const PoolSettings& settings, bool ram, bool flags) {
    {
      py::gil_scoped_release release;
      pool_ = std::make_unique<Pool>(settings);
    }
    const EnvSettings& env = settings.env;
    shape_.rows = pool_->batch_size();
    shape_.obs = {env.stack_num, env.img_height, env.img_width};
    if (!env.grayscale) shape_.obs.push_back(3);
    shape_.final_obs = env.autoreset == Autoreset::kSameStep;
    shape_.ram = ram;
    shape_.flags = flags;
    in_flight_ = static_cast<std::size_t>(pool_->batches_in_flight());
  }

  // The workers write into arrays that this object keeps alive, so they stop first.
  ~PyPool() {
    py::gil_scoped_release release;
    pool_->close();
  }

  void close() {
    wait_until([&](auto timeout) { return pool_->stop(timeout); });
    py::gil_scoped_release release;
    pool_->close();
  }

  PyBatchRef make_batch(const py::kwargs& arrays) const {
    return std::make_shared<PyBatch>(shape_, arrays);
  }

  void use_batches(const std::vector<PyBatchRef>& batches) {
    const Turn turn(taken_);
    std::vector<const PyBatch*> all;
    for (const PyBatchRef& batch : batches) {
      if (batch == nullptr) throw py::type_error("use_batches() takes batches, got None");
      require_shape(*batch);
      all.push_back(batch.get());
    }
    require_disjoint(all);
    pool_->set_line_capacity(std::max(batches.size(), in_flight_) + 1);
    registered_ = batches;
    take_back();
  }

  py::tuple reset(const std::vector<int>& env_ids, const std::vector<int>& seeds) {
    const Turn turn(taken_);
    require(env_ids.size() == seeds.size(), "env_ids and seeds must have the same size, got ",
            env_ids.size(), " and ", seeds.size());
    const bool full = env_ids.size() == static_cast<std::size_t>(pool_->num_envs());
    wait_idle();
    offer(full ? in_flight_ : 1, full);
    {
      py::gil_scoped_release release;
      pool_->reset(env_ids.data(), seeds.data(), env_ids.size(), given_.data(), given_.size());
    }
    lend(full);
    return receive()->reset_result();
  }

  void send(const py::array& actions, const py::object& strengths, const PyBatchRef& out) {
    const Turn turn(taken_);
    read_actions(actions);
    read_strengths(strengths);
    if (out != nullptr) {
      require(registered_.empty(), "out= and use_batches() exclude each other");
      require(pool_->num_envs() == pool_->batch_size(),
              "out= needs a synchronous pool: batch_size == num_envs");
      require_shape(*out);
      offered_.assign(1, out);
      given_.assign(1, out->batch);
    } else {
      offer(1, false);
    }
    {
      py::gil_scoped_release release;
      pool_->send(actions_.data(), strengths_.empty() ? nullptr : strengths_.data(),
                  actions_.size(), given_.data(), given_.size());
    }
    lend(false);
  }

  py::tuple recv() {
    const Turn turn(taken_);
    return receive()->step_result();
  }

  py::bytes clone_state() {
    const Turn turn(taken_);
    wait_idle();
    std::string state;
    {
      py::gil_scoped_release release;
      state = pool_->clone_state();
    }
    return state;
  }

  void restore_state(const py::bytes& state) {
    const Turn turn(taken_);
    const std::string_view bytes = state;
    wait_idle();
    {
      py::gil_scoped_release release;
      pool_->restore_state(bytes.data(), bytes.size());
    }
    take_back();
    const py::ssize_t outstanding = pool_->outstanding();
    if (outstanding == 0) return;
    offer(static_cast<std::size_t>((outstanding + shape_.rows - 1) / shape_.rows), true);
    pool_->add_batches(given_.data(), given_.size());
    lend(true);
  }

  std::vector<int> minimal_actions(int env) const { return pool_->minimal_actions(env); }
  int action_count(int env) const { return pool_->action_count(env); }
  Emulation emulation(int env) {
    const Turn turn(taken_);
    wait_idle();
    return pool_->emulation(env);
  }
  int num_threads() const { return pool_->num_threads(); }

  void require_shape(const PyBatch& batch) const {
    require(batch.batch.obs_bytes == pool_->obs_bytes() &&
                batch.array("env_id").size() == shape_.rows &&
                (batch.batch.first.final_obs != nullptr) == shape_.final_obs &&
                (batch.batch.first.ram != nullptr) == shape_.ram &&
                (batch.batch.first.autoreset != nullptr) == shape_.flags,
            "the batch was made by a pool of another shape; use this pool's make_batch()");
  }

 private:
  void read_actions(const py::array& actions) {
    const bool wide = py::isinstance<py::array_t<std::int64_t>>(actions);
    if (!wide && !py::isinstance<py::array_t<std::int32_t>>(actions))
      throw py::type_error(detail::join("actions must be an array of dtype int32 or int64, got ",
                                        text(actions.dtype())));
    const bool fits = actions.ndim() == 1 && actions.shape(0) == shape_.rows;
    require(fits, "actions must have shape (", shape_.rows, ",), got ",
            text(actions.attr("shape")));
    actions_.resize(static_cast<std::size_t>(shape_.rows));
    if (wide) {
      read_rows<std::int64_t>(actions, actions_);
    } else {
      read_rows<std::int32_t>(actions, actions_);
    }
  }

  void read_strengths(const py::object& given) {
    strengths_.clear();
    if (given.is_none()) return;
    if (!py::isinstance<py::array_t<float>>(given))
      throw py::type_error(detail::join("strengths must be an array of dtype float32, got ",
                                        text(py::type::of(given))));
    const auto strengths = py::reinterpret_borrow<py::array>(given);
    const bool fits = strengths.ndim() == 1 && strengths.shape(0) == shape_.rows;
    require(fits, "strengths must have shape (", shape_.rows, ",), got ",
            text(strengths.attr("shape")));
    strengths_.resize(static_cast<std::size_t>(shape_.rows));
    read_rows<float>(strengths, strengths_);
  }

  void wait_idle() {
    wait_until([&](auto timeout) { return pool_->wait_idle(timeout); });
  }

  // Fills offered_ with the batches that go to the pool next: the caller's, all of them or those
  // that are not with the pool, or else `fresh` new ones.
  void offer(std::size_t fresh, bool all) {
    offered_.clear();
    given_.clear();
    if (registered_.empty()) {
      for (std::size_t i = 0; i < fresh; ++i)
        offered_.push_back(std::make_shared<PyBatch>(shape_, py::dict()));
    } else {
      offered_ = all ? registered_ : held_;
    }
    for (const PyBatchRef& batch : offered_) given_.push_back(batch->batch);
  }

  // The pool has accepted what was offered.
  void lend(bool all) {
    if (all) lent_.clear();
    lent_.insert(lent_.end(), offered_.begin(), offered_.end());
    held_.clear();
  }

  // The pool has lost its batches: the caller holds them all.
  void take_back() {
    lent_.clear();
    held_ = registered_;
  }

  PyBatchRef receive() {
    Batch batch;
    wait_until([&](auto timeout) { return pool_->recv(timeout, batch); });
    PyBatchRef front = lent_.front();
    lent_.erase(lent_.begin());
    if (!registered_.empty()) held_.push_back(front);
    return front;
  }

  std::unique_ptr<Pool> pool_;
  BatchShape shape_;
  bool taken_ = false;                  // a thread is in one of the calls
  std::size_t in_flight_ = 1;           // batches that hold one result of every environment
  std::vector<PyBatchRef> registered_;  // use_batches()
  std::vector<PyBatchRef> lent_;        // with the pool, in its order
  std::vector<PyBatchRef> held_;        // with the caller until the next send()
  // Kept between calls, so that a step whose batch the caller brings allocates no memory for rows.
  std::vector<PyBatchRef> offered_;
  std::vector<Batch> given_;
  std::vector<std::int64_t> actions_;
  std::vector<float> strengths_;
};

}  // namespace

void bind_pool(py::module_& m) {
  py::enum_<Autoreset>(m, "Autoreset")
      .value("NEXT_STEP", Autoreset::kNextStep)
      .value("SAME_STEP", Autoreset::kSameStep);

  py::enum_<Emulation>(m, "Emulation")
      .value("FAST", Emulation::kFast)
      .value("STOCK", Emulation::kStock);

  py::class_<GameChoice>(m, "GameChoice")
      .def(py::init([](std::string name, std::string rom_path, int mode, int difficulty) {
             return GameChoice{std::move(name), std::move(rom_path), mode, difficulty};
           }),
           py::arg("name"), py::arg("rom_path"), py::arg("mode") = -1, py::arg("difficulty") = -1);

  py::class_<EnvSettings>(m, "EnvSettings")
      .def(py::init<>())
      .def_readwrite("frame_skip", &EnvSettings::frame_skip)
      .def_readwrite("img_height", &EnvSettings::img_height)
      .def_readwrite("img_width", &EnvSettings::img_width)
      .def_readwrite("stack_num", &EnvSettings::stack_num)
      .def_readwrite("grayscale", &EnvSettings::grayscale)
      .def_readwrite("maxpool", &EnvSettings::maxpool)
      .def_readwrite("exact_pooling", &EnvSettings::exact_pooling)
      .def_readwrite("maxpool_rgb", &EnvSettings::maxpool_rgb)
      .def_readwrite("noop_min", &EnvSettings::noop_min)
      .def_readwrite("noop_max", &EnvSettings::noop_max)
      .def_readwrite("noop_in_agent_steps", &EnvSettings::noop_in_agent_steps)
      .def_readwrite("noop_after_life_loss", &EnvSettings::noop_after_life_loss)
      .def_readwrite("clear_stack_on_life_loss", &EnvSettings::clear_stack_on_life_loss)
      .def_readwrite("use_fire_reset", &EnvSettings::use_fire_reset)
      .def_readwrite("episodic_life", &EnvSettings::episodic_life)
      .def_readwrite("life_loss_info", &EnvSettings::life_loss_info)
      .def_readwrite("reward_clipping", &EnvSettings::reward_clipping)
      .def_readwrite("max_episode_frames", &EnvSettings::max_episode_frames)
      .def_readwrite("repeat_action_probability", &EnvSettings::repeat_action_probability)
      .def_readwrite("full_action_space", &EnvSettings::full_action_space)
      .def_readwrite("autoreset", &EnvSettings::autoreset)
      .def_readwrite("emulation", &EnvSettings::emulation);

  py::class_<PoolSettings>(m, "PoolSettings")
      .def(py::init<>())
      .def_readwrite("games", &PoolSettings::games)
      .def_readwrite("batch_size", &PoolSettings::batch_size)
      .def_readwrite("num_threads", &PoolSettings::num_threads)
      .def_readwrite("thread_affinity_offset", &PoolSettings::thread_affinity_offset)
      .def_readwrite("env", &PoolSettings::env);

  py::class_<PyBatch, PyBatchRef>(m, "Batch",
                                  "One batch of results; see AtariVectorEnv.make_batch.")
      .def("__getitem__",
           [](const PyBatch& batch, const char* name) {
             if (!batch.arrays.contains(name)) throw py::key_error(name);
             return batch.array(name);
           })
      .def_property_readonly("obs", [](const PyBatch& batch) { return batch.array("obs"); })
      .def_property_readonly("rewards", [](const PyBatch& batch) { return batch.array("rewards"); })
      .def_property_readonly("terminations",
                             [](const PyBatch& batch) { return batch.array("terminations"); })
      .def_property_readonly("truncations",
                             [](const PyBatch& batch) { return batch.array("truncations"); });

  py::class_<PyPool>(m, "AtariPool")
      .def(py::init<const PoolSettings&, bool, bool>(), py::arg("settings"), py::arg("ram"),
           py::arg("flags"))
      .def("make_batch", &PyPool::make_batch)
      .def("use_batches", &PyPool::use_batches)
      .def("reset", &PyPool::reset, py::arg("env_ids"), py::arg("seeds"))
      .def("send", &PyPool::send, py::arg("actions"), py::arg("strengths"), py::arg("out"))
      .def("recv", &PyPool::recv)
      .def("clone_state", &PyPool::clone_state)
      .def("restore_state", &PyPool::restore_state)
      .def("close", &PyPool::close)
      .def("minimal_actions", &PyPool::minimal_actions)
      .def("action_count", &PyPool::action_count)
      .def("emulation", &PyPool::emulation)
      .def_property_readonly("num_threads", &PyPool::num_threads);
}

}  // namespace actormimic::bindings
