"""Clusters in the catalogue: names are unique in any case, and nobody overwrites what they have not seen."""

from pathlib import Path

import pytest

from mcp_server.errors import ChangedMeanwhile, FenqunError, InvalidArguments, NameTaken, NoData, NotFound
from mcp_server.store.catalog import Catalog
from mcp_server.store.jobs import JobStore
from tests.store.workspace_kit import create, delete, load, open_catalog, publish, update


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = open_catalog(tmp_path)
    load(made)
    return made


# -- clusters --------------------------------------------------------------------------------------------------------


def test_a_cluster_is_read_back_whole(catalog: Catalog) -> None:
    made = create(catalog, "Level3", remarks="备注")
    assert (made.name, made.display_name, made.remarks, made.revision, made.current) == (
        "Level3",
        "买家",
        "备注",
        1,
        None,
    )
    assert made.created_at == made.updated_at == made.definition_changed_at
    assert made.created_at.tzinfo is not None


@pytest.mark.parametrize("name", ["buyers", "BUYERS", "Buyers"])
def test_a_name_is_unique_whatever_its_case(catalog: Catalog, name: str) -> None:
    made = create(catalog, "buyers")
    with pytest.raises(NameTaken) as caught:
        create(catalog, name)
    assert f"id {made.id}" in caught.value.message.en
    assert f"{name}_2" in caught.value.next_step.en
    assert f"{name}_2" in caught.value.next_step.zh


def test_clusters_and_tags_share_one_name_space(catalog: Catalog) -> None:
    create(catalog, "level")
    with pytest.raises(NameTaken):
        create(catalog, "LEVEL", cluster_type="tag_condition_default", catalog="catalog_tag")


def test_the_same_name_is_free_in_another_project(catalog: Catalog) -> None:
    load(catalog, project="2")
    assert create(catalog, "buyers", project="2").id != create(catalog, "buyers").id


def test_a_free_name_is_found_within_the_length(catalog: Catalog) -> None:
    long = "a" * 24
    assert catalog.free_name("1", long) == long
    create(catalog, long)
    assert catalog.free_name("1", long) == "a" * 22 + "_2"
    create(catalog, "A" * 22 + "_2")
    assert catalog.free_name("1", long) == "a" * 22 + "_3"


def test_a_cluster_without_its_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        create(open_catalog(tmp_path))


@pytest.mark.parametrize("spell", [str, int, lambda i: f" {i} ", lambda i: f"00{i}"])
def test_a_cluster_is_found_by_id(catalog: Catalog, spell: type[str]) -> None:
    made = create(catalog)
    assert catalog.find("1", spell(made.id)) == made


@pytest.mark.parametrize("ref", ["HeavyBuyers", "heavybuyers", " HEAVYBUYERS "])
def test_a_cluster_is_found_by_name_in_any_case(catalog: Catalog, ref: str) -> None:
    made = create(catalog, "HeavyBuyers")
    assert catalog.find("1", ref) == made


@pytest.mark.parametrize("ref", ["heavy_buyer", "heavyBuyrs", "高消费买家"])
def test_a_reference_that_is_not_found_names_the_nearest(catalog: Catalog, ref: str) -> None:
    create(catalog, "heavyBuyers", display_name="高消费买家们")
    create(catalog, "sleepers")
    with pytest.raises(NotFound, match='nearest name is "heavyBuyers"') as caught:
        catalog.find("1", ref)
    assert "“heavyBuyers”" in caught.value.message.zh


def test_where_nothing_is_near_the_newest_are_named(catalog: Catalog) -> None:
    create(catalog, "alpha")
    create(catalog, "beta")
    with pytest.raises(NotFound, match="newest are: beta, alpha"):
        catalog.find("1", "zzzzzzzz")


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "0",
        "-1",
        "9" * 18,
        "9" * 5000,
        "²",
        "x' OR 1=1 --",
        "\0",
        "\ud800",
        "a\nb",
        "%",
        "_",
        "名" * 5000,
        "1.0",
        "0x1",
    ],
)
def test_hostile_references_are_not_found_and_quoted_short(catalog: Catalog, ref: str) -> None:
    create(catalog)
    with pytest.raises(NotFound) as caught:
        catalog.find("1", ref)
    assert len(caught.value.message.en) < 300
    caught.value.message.zh.encode()
    assert "\n" not in caught.value.message.en


def test_a_cluster_of_another_project_is_not_found(catalog: Catalog) -> None:
    made = create(catalog)
    load(catalog, project="2")
    for ref in (made.id, made.name):
        with pytest.raises(NotFound):
            catalog.find("2", ref)


def test_texts_with_half_characters_are_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidArguments):
        create(catalog, "a", display_name="\ud83d")
    made = create(catalog)
    with pytest.raises(InvalidArguments):
        update(catalog, made.id, 1, remarks="\udc00")
    assert catalog.list_clusters("1", search="\ud83d") == ((), 0)


# -- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_is_newest_first_and_pages_without_gaps(catalog: Catalog) -> None:
    names = [f"c{i}" for i in range(7)]
    for name in names:
        create(catalog, name)
    pages = [catalog.list_clusters("1", offset=o, limit=3) for o in (0, 3, 6, 9)]
    assert [c.name for page, _ in pages for c in page] == names[::-1]
    assert {total for _, total in pages} == {7}


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("BUY", ["buyers"]),
        ("沉睡", ["sleepers"]),
        ("note É", ["buyers"]),
        ("é", ["buyers"]),
        ("%", []),
        ("_", []),
        ("' --", []),
    ],
)
def test_a_search_looks_at_name_display_name_and_remarks_in_any_case(
    catalog: Catalog, search: str, names: list[str]
) -> None:
    create(catalog, "Buyers".lower(), remarks="Note é")
    create(catalog, "sleepers", display_name="沉睡用户")
    found, total = catalog.list_clusters("1", search=search)
    assert [c.name for c in found] == names
    assert total == len(names)


def test_a_search_follows_an_update(catalog: Catalog) -> None:
    made = create(catalog)
    update(catalog, made.id, 1, display_name="Whales")
    assert catalog.list_clusters("1", search="whale")[1] == 1
    assert catalog.list_clusters("1", search="买家")[1] == 0


def test_a_list_filters_by_type_and_by_catalog(catalog: Catalog) -> None:
    create(catalog, "dynamic")
    create(catalog, "static", cluster_type="cluster_by_static_condition")
    create(catalog, "level", cluster_type="tag_condition_default", catalog="catalog_tag")
    by_type, _ = catalog.list_clusters("1", cluster_types=["cluster_by_static_condition", "tag_condition_default"])
    assert [c.name for c in by_type] == ["level", "static"]
    by_catalog, total = catalog.list_clusters("1", catalog="catalog_cluster")
    assert ([c.name for c in by_catalog], total) == (["static", "dynamic"], 2)


def test_a_list_carries_the_current_versions(catalog: Catalog) -> None:
    made = create(catalog)
    create(catalog, "empty")
    publish(catalog, made.id, "12345")
    sizes = {c.name: c.current.users_num if c.current else None for c in catalog.list_clusters("1")[0]}
    assert sizes == {"buyers": 5, "empty": None}


# -- changes -----------------------------------------------------------------------------------------------------------


def test_an_update_changes_what_is_given_and_counts_up(catalog: Catalog) -> None:
    made = create(catalog)
    after = update(catalog, made.id, 1, display_name="新名")
    assert (after.display_name, after.revision, after.definition) == ("新名", 2, made.definition)
    assert after.definition_changed_at == made.definition_changed_at


def test_only_another_meaning_moves_the_definitions_date(catalog: Catalog) -> None:
    made = create(catalog)
    spelled = update(catalog, made.id, 1, definition='{"n": 1}', definition_hash=made.definition_hash)
    assert (spelled.definition, spelled.definition_changed_at) == ('{"n": 1}', made.definition_changed_at)
    meant = update(catalog, made.id, 2, definition='{"n":2}', definition_hash="other")
    assert meant.definition_changed_at > made.definition_changed_at


def test_an_update_that_changes_nothing_is_none(catalog: Catalog) -> None:
    made = create(catalog)
    assert update(catalog, made.id, 1, display_name=made.display_name) == made


def test_of_two_updates_from_the_same_reading_the_second_is_refused(catalog: Catalog) -> None:
    made = create(catalog)
    other = open_catalog(catalog.workspace.root)
    update(other, made.id, made.revision, remarks="first")
    with pytest.raises(ChangedMeanwhile, match="revision 1, now 2") as caught:
        update(catalog, made.id, made.revision, remarks="second")
    assert "修订号 1" in caught.value.message.zh
    with pytest.raises(ChangedMeanwhile):
        delete(catalog, made.id, made.revision)
    assert catalog.cluster(made.id).remarks == "first"


def test_a_refresh_is_no_change_of_the_cluster(catalog: Catalog) -> None:
    made = create(catalog)
    publish(catalog, made.id)
    assert update(catalog, made.id, made.revision, remarks="x").revision == 2


def test_a_deleted_cluster_is_gone_and_its_name_free_but_its_id_is_not_reused(catalog: Catalog) -> None:
    made = create(catalog)
    publish(catalog, made.id)
    delete(catalog, made.id, 1)
    for ref in (made.id, made.name):
        with pytest.raises(NotFound):
            catalog.find("1", ref)
    assert catalog.list_clusters("1")[1] == 0
    assert create(catalog).id > made.id
    assert len(catalog.versions(made.id)) == 1


def test_every_text_of_a_refusal_is_in_both_languages(catalog: Catalog) -> None:
    made = create(catalog, display_name="Buyers")
    refusals = [
        lambda: create(catalog),
        lambda: catalog.find("1", "nobody"),
        lambda: catalog.cluster(99),
        lambda: catalog.metadata("9"),
        lambda: update(catalog, made.id, 9, remarks="x"),
        lambda: JobStore(catalog).get(99),
    ]
    for refuse in refusals:
        with pytest.raises(FenqunError) as caught:
            refuse()
        assert caught.value.message.en.isascii()
        assert any("一" <= c <= "鿿" for c in caught.value.message.zh)
