#include "server/recommend/ranked_lists.h"

#include <gmock/gmock.h>

#include <thread>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using ::testing::MatchesRegex;

constexpr uint64_t kQuery = 42;

class RankedListsTest : public ::testing::Test {
 protected:
  RankedListsTest()
      : lists_({.lists_max = 3,
                .items_max = 10,
                .ttl = std::chrono::seconds(60),
                .clock = [this] { return now_; },
                .random = [this] { return ++random_; }}) {}

  static RankedList ListOf(uint32_t items) {
    RankedList list;
    for (uint32_t i = 0; i < items; ++i) {
      list.items.push_back({static_cast<ItemIndex>(i), 1.f / static_cast<float>(i + 1), 1});
    }
    return list;
  }
  absl::Status ResumeStatus(std::string_view token, uint64_t query = kQuery) {
    return lists_.Resume(token, query, 4).status();
  }

  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  uint64_t random_ = 0;
  RankedLists lists_;
};

TEST_F(RankedListsTest, TokensThatAreNotOursAreRefused) {
  const std::string good = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  std::vector<std::string> bad = {"",         "x",        "!!!!",     std::string(100'000, 'A'),
                                  good + "A", good + "=", " " + good, good.substr(1)};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    bad.push_back(changed);
  }
  for (const std::string& token : bad) {
    const absl::Status status = ResumeStatus(token);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << token.substr(0, 50);
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
  }
}

TEST_F(RankedListsTest, ATokenOfAnotherQueryIsRefused) {
  const Page page = lists_.Begin(ListOf(10), kQuery, 4);
  EXPECT_EQ(ResumeStatus(page.next_page_token, kQuery + 1).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ResumeStatus(page.next_page_token).ok());
}

TEST_F(RankedListsTest, AnUnusedListExpires) {
  const std::string token = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  now_ += std::chrono::seconds(59);
  EXPECT_TRUE(ResumeStatus(token).ok());
  now_ += std::chrono::seconds(59);
  EXPECT_TRUE(ResumeStatus(token).ok()) << "use renews it";
  now_ += std::chrono::seconds(60);
  const absl::Status status = ResumeStatus(token);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), "PAGE_TOKEN_EXPIRED");
  EXPECT_EQ(lists_.size(), 0u);
}

TEST_F(RankedListsTest, AListThatWasLetGoIsGone) {
  const std::string token = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  const std::string other = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  lists_.Drop(token);
  EXPECT_EQ(ReasonOf(ResumeStatus(token)), "PAGE_TOKEN_EXPIRED");
  EXPECT_TRUE(ResumeStatus(other).ok());
  lists_.Drop(token);
  lists_.Drop("not ours");
  EXPECT_EQ(lists_.size(), 1u);
}

TEST_F(RankedListsTest, TheListUsedLongestAgoMakesRoom) {
  const std::string first = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  const std::string second = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  const std::string third = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  EXPECT_TRUE(ResumeStatus(first).ok());
  lists_.Begin(ListOf(10), kQuery, 4);
  EXPECT_EQ(lists_.size(), 3u);
  EXPECT_TRUE(ResumeStatus(first).ok());
  EXPECT_EQ(ReasonOf(ResumeStatus(second)), "PAGE_TOKEN_EXPIRED");
  EXPECT_TRUE(ResumeStatus(third).ok());
}

TEST_F(RankedListsTest, NoListsAtAllMeansThatTokensExpireAtOnce) {
  RankedLists none({.lists_max = 0});
  const std::string token = none.Begin(ListOf(10), kQuery, 4).next_page_token;
  EXPECT_EQ(ReasonOf(none.Resume(token, kQuery, 4).status()), "PAGE_TOKEN_EXPIRED");
}

TEST_F(RankedListsTest, NoPageGoesBeyondAnEndThatTheListHas) {
  RankedList list = ListOf(10);
  list.page_ends = {4, 7};
  Page page = lists_.Begin(std::move(list), kQuery, 4);
  EXPECT_EQ(page.end, 4u);
  const std::string second = page.next_page_token;
  EXPECT_EQ(lists_.Resume(second, kQuery, 100)->end, 7u) << "however many are asked for";
  page = *lists_.Resume(second, kQuery, 2);
  EXPECT_EQ(page.end, 6u);
  page = *lists_.Resume(page.next_page_token, kQuery, 4);
  EXPECT_EQ(page.end, 7u) << "what was left of the page";
  EXPECT_EQ(lists_.Resume(page.next_page_token, kQuery, 4)->end, 10u) << "behind the last end";
}

TEST_F(RankedListsTest, PagesNeitherRepeatNorSkip) {
  absl::StatusOr<Page> page = lists_.Begin(ListOf(10), kQuery, 4);
  const std::string id = page->recommendation_id;
  std::vector<uint32_t> seen;
  for (size_t size = 3;; ++size) {
    for (const Candidate& item : page->items()) seen.push_back(ToInt(item.item));
    EXPECT_EQ(page->recommendation_id, id);
    if (page->next_page_token.empty()) break;
    page = lists_.Resume(page->next_page_token, kQuery, size);
    ASSERT_TRUE(page.ok()) << page.status();
  }
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(RankedListsTest, TheSameTokenGivesTheSamePageAgain) {
  const std::string token = lists_.Begin(ListOf(10), kQuery, 4).next_page_token;
  EXPECT_EQ(lists_.Resume(token, kQuery, 4)->begin, 4u);
  EXPECT_EQ(lists_.Resume(token, kQuery, 4)->begin, 4u);
}

TEST_F(RankedListsTest, AListOfOnePageIsNotKept) {
  EXPECT_EQ(lists_.Begin(ListOf(4), kQuery, 4).next_page_token, "");
  const Page empty = lists_.Begin(RankedList(), kQuery, 4);
  EXPECT_EQ(empty.next_page_token, "");
  EXPECT_TRUE(empty.items().empty());
  EXPECT_EQ(lists_.size(), 0u);
}

TEST_F(RankedListsTest, LongListsAreCut) {
  EXPECT_EQ(lists_.Begin(ListOf(11), kQuery, 4).list->items.size(), 10u);
}

TEST_F(RankedListsTest, TokensAndIdsAreSafeInUrls) {
  const Page page = lists_.Begin(ListOf(10), kQuery, 4);
  EXPECT_THAT(page.next_page_token, MatchesRegex("[A-Za-z0-9_-]+"));
  EXPECT_THAT(page.recommendation_id, MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(page.recommendation_id.size(), 32u);
}

TEST(RankedListsThreadsTest, ManyThreadsPageAtOnce) {
  RankedLists lists({.lists_max = 50});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&lists] {
      for (int i = 0; i < 200; ++i) {
        RankedList list;
        list.items.resize(8);
        const Page page = lists.Begin(std::move(list), kQuery, 4);
        const auto next = lists.Resume(page.next_page_token, kQuery, 4);
        EXPECT_TRUE(next.ok() || ReasonOf(next.status()) == "PAGE_TOKEN_EXPIRED");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(lists.size(), 50u);
}

}  // namespace
}  // namespace groundswell
