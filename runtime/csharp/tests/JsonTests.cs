using System;
using System.Linq;

namespace GenRuntime.Tests
{
    /// <summary>The JSON reader on strangers' documents.</summary>
    internal static class JsonTests
    {
        private static readonly string[] noJson =
        {
            "", " ", "{", "}", "[1", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "'a'", "\"", "\"\\",
            "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\\u 123\"", "\"\\ud800\"", "\"\\udc00\"",
            "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\"\t\"", "\"\0\"", "\0", "tru", "nulL", "1 2", "01", "-", "+1",
            "1.", ".5", "1e", "1e+", "0x1", "1,000", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[1}",
            "{\"a\":1]",
        };

        public static void Every_kind_of_value_is_read()
        {
            Json json = Json.Parse(
                " {\"a\": [1, -2.5e-1, true, null], \"b\": {\"c\": \"x\\n\\u00e9\\ud83d\\ude00\\/\"}, "
                + "\"d\": [ ], \"e\": { } } ",
                32);
            Check.Equal(1L, json["a"].Items[0].Whole);
            Check.Equal(-0.25, json["a"].Items[1].Number);
            Check.Equal(null, json["a"].Items[1].Whole);
            Check.Equal(true, json["a"].Items[2].Boolean);
            Check.That(json["a"].Items[3].IsNull && !json["a"].IsNull, "null is null alone");
            Check.Equal("x\n\u00e9\U0001F600/", json["b"]["c"].Text);
            Check.Equal(0, json["d"].Items.Count + json["e"].Members.Count);
        }

        public static void Whole_numbers_keep_all_digits_and_larger_ones_are_floats()
        {
            Check.Equal(long.MaxValue, Json.Parse("9223372036854775807", 1).Whole);
            Check.Equal(long.MinValue, Json.Parse("-9223372036854775808", 1).Whole);
            Check.Equal(null, Json.Parse("18446744073709551616", 1).Whole);
            Check.Equal(18446744073709551616.0, Json.Parse("18446744073709551616", 1).Number);
            Check.Equal(null, Json.Parse("1.0", 1).Whole);
        }

        public static void A_value_of_another_kind_is_null_and_so_is_a_missing_member()
        {
            Json one = Json.Parse("1", 1);
            Check.That(one.Text == null && one.Items == null && one.Members == null && one.Boolean == null, "kinds");
            Check.Equal(null, one["a"]);
            Check.Equal(null, Json.Parse("{}", 1)["a"]);
        }

        public static void Of_two_members_with_one_name_the_last_counts() =>
            Check.Equal(2L, Json.Parse("{\"a\": 1, \"a\": 2}", 1)["a"].Whole);

        public static void What_is_no_JSON_is_refused()
        {
            foreach (string text in noJson)
            {
                Check.That(Check.ErrorOf(() => Json.Parse(text, 32)) is FormatException, $"'{text}' was not refused");
            }
        }

        public static void What_is_too_deep_is_refused_before_it_is_read()
        {
            string open = string.Concat(Enumerable.Repeat("[", 32)), close = string.Concat(Enumerable.Repeat("]", 32));
            Json.Parse(open + close, 32);
            Check.Refused<FormatException>(() => Json.Parse($"[{open}{close}]", 32), "more than 32 levels deep");
            Check.Refused<FormatException>(() => Json.Parse(new string('[', 10000000), 32), "more than 32 levels deep");
        }
    }
}
