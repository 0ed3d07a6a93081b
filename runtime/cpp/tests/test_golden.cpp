// The suite that every host runs: test_golden FOLDER [answers | refusals | threads]

#include <map>
#include <thread>
#include <typeinfo>
#include <vector>

#include "check.hpp"

namespace {

using Models = std::map<std::string, gen::Model>;

Models load_all(const std::filesystem::path& folder, const gen::Json& suite) {
  Models models;
  for (const gen::Json& entry : *suite.find("models")->array())
    models.emplace(*entry.find("file")->text(), test::load(folder, entry));
  return models;
}

void require_card(const gen::Model& model, const gen::Json& entry) {
  const gen::Json& image = *entry.find("image");
  const gen::Json::Array& graphs = *entry.find("graphs")->array();
  const auto names = model.graphs();
  CHECK(model.card().family == *entry.find("family")->text(), model.path());
  CHECK(model.card().image.height == *image.find("height")->whole(), model.path());
  CHECK(model.card().image.width == *image.find("width")->whole(), model.path());
  CHECK(model.card().image.channels == *image.find("channels")->whole(), model.path());
  CHECK(names.size() == graphs.size(), model.path());
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(names[i] == *graphs[i].text(), model.path());
}

void answers(const Models& models, const gen::Json& suite) {
  for (const gen::Json& entry : *suite.find("models")->array())
    require_card(models.at(*entry.find("file")->text()), entry);
  for (const gen::Json& entry : *suite.find("cases")->array()) {
    if (entry.find("error") == nullptr) test::require_answer(models.at(*entry.find("file")->text()), entry);
  }
}

std::string kind_of(const gen::Error& error) {
  if (dynamic_cast<const gen::FileError*>(&error) != nullptr) return "file";
  if (dynamic_cast<const gen::GraphError*>(&error) != nullptr) return "graph";
  if (dynamic_cast<const gen::PortError*>(&error) != nullptr) return "port";
  return typeid(error).name();
}

void require_refusal(const std::filesystem::path& folder, const gen::Json& entry) {
  const std::string& name = *entry.find("name")->text();
  try {
    test::call(test::load(folder, entry), entry);
  } catch (const gen::Error& error) {
    const std::string message = error.what();
    CHECK(kind_of(error) == *entry.find("error")->text(), name << ": " << message);
    CHECK(message.find(*entry.find("says")->text()) != std::string::npos, name << ": " << message);
    CHECK(message.find('\n') == std::string::npos, name);
    return;
  }
  CHECK(false, name << ": nothing was refused");
}

void refusals(const std::filesystem::path& folder, const gen::Json& suite) {
  for (const gen::Json& entry : *suite.find("cases")->array()) {
    if (entry.find("error") != nullptr) require_refusal(folder, entry);
  }
}

/// Eight threads on the same models, which none has called before: parts are opened while others run.
void threads(const Models& models, const gen::Json& suite) {
  std::vector<std::string> failures(8);
  std::vector<std::thread> workers;
  for (std::string& failure : failures) {
    workers.emplace_back([&] {
      try {
        answers(models, suite);
      } catch (const std::exception& error) {
        failure = error.what();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const std::string& failure : failures) CHECK(failure.empty(), failure);
}

}  // namespace

int main(int, char** argv) {
  return test::run([&] {
    const std::filesystem::path folder = argv[1];
    const std::string what = argv[2];
    const gen::Json suite = test::suite(folder);
    if (what == "answers") answers(load_all(folder, suite), suite);
    if (what == "refusals") refusals(folder, suite);
    if (what == "threads") threads(load_all(folder, suite), suite);
  });
}
