WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (u."city" IN ('上海', 'Beijing')) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (u."city" IN ('上海', 'Beijing'))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
