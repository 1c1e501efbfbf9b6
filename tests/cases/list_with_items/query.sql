WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (u."tags" IS NULL OR len(u."tags") = 0) THEN 1 ELSE 0 END + CASE WHEN NOT (list_has_any(u."tags", ['music'])) THEN 2 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (u."tags" IS NULL OR len(u."tags") = 0) OR NOT (list_has_any(u."tags", ['music']))
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
