using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace GenRuntime.Tests
{
    /// <summary>The suite that every host runs.</summary>
    internal static class GoldenTests
    {
        public static string Every_call_of_the_suite_gives_its_answer()
        {
            Dictionary<string, GenModel> models = Suite.LoadAll();
            int count = RequireAnswers(models);
            Dispose(models);
            return $"{count} calls";
        }

        public static string Every_refusal_of_the_suite_is_of_its_kind_and_says_its_words()
        {
            int count = 0;
            foreach (Json entry in Suite.Refusals)
            {
                RequireRefusal(entry);
                count++;
            }
            return $"{count} refusals";
        }

        public static void The_card_of_each_model_is_the_suites()
        {
            foreach (Json entry in Suite.Models)
            {
                using (GenModel model = Suite.Load(entry["file"].Text))
                {
                    Check.Equal(entry["family"].Text, model.Card.Family, model.Path);
                    Check.Equal(entry["image"]["height"].Whole, model.Card.Image.Height, model.Path);
                    Check.Equal(entry["image"]["width"].Whole, model.Card.Image.Width, model.Path);
                    Check.Equal(entry["image"]["channels"].Whole, model.Card.Image.Channels, model.Path);
                    Check.Same(entry["graphs"].Items.Select(graph => graph.Text), model.Graphs, model.Path);
                }
            }
        }

        public static void Eight_threads_on_the_same_models_get_the_answers_while_parts_are_opened()
        {
            Dictionary<string, GenModel> models = Suite.LoadAll();
            var errors = new Exception[8];
            List<Thread> threads = Enumerable.Range(0, errors.Length)
                .Select(i => new Thread(() => errors[i] = Check.ErrorOf(() => RequireAnswers(models))))
                .ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            Dispose(models);
            Check.That(errors.All(error => error == null), $"{errors.FirstOrDefault(error => error != null)}");
        }

        private static int RequireAnswers(Dictionary<string, GenModel> models)
        {
            List<Json> answers = Suite.Answers.ToList();
            answers.ForEach(entry => Suite.RequireAnswer(models[entry["file"].Text], entry));
            return answers.Count;
        }

        private static void RequireRefusal(Json entry)
        {
            Action call = () =>
            {
                using (GenModel model = Suite.Load(entry["file"].Text))
                {
                    Suite.Call(model, entry);
                }
            };
            string says = entry["says"].Text;
            switch (entry["error"].Text)
            {
                case "file":
                    Check.Refused<GenFileException>(call, says);
                    break;
                case "graph":
                    Check.Refused<GenGraphException>(call, says);
                    break;
                case "port":
                    Check.Refused<GenPortException>(call, says);
                    break;
                default:
                    throw new InvalidDataException(entry["error"].Text);
            }
        }

        private static void Dispose(Dictionary<string, GenModel> models)
        {
            foreach (GenModel model in models.Values)
            {
                model.Dispose();
            }
        }
    }
}
