WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" = 9007199254740993 THEN 1 ELSE 0 END + CASE WHEN NOT (u."level" = 9007199254740992) THEN 2 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" = 9007199254740993 OR NOT (u."level" = 9007199254740992)
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
